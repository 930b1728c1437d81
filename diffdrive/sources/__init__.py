"""Where recorded scenes come from: each module makes ``diffdrive.scene`` values out of one kind of data on disk."""

from diffdrive.sources.arrow123d import Arrow123dSource
from diffdrive.sources.nuscenes_sample import NuscenesSampleSource
from diffdrive.sources.openscene_log import OpenSceneLogSource
from diffdrive.sources.summaries import LogSummary, SceneInfo

__all__ = ["Arrow123dSource", "LogSummary", "NuscenesSampleSource", "OpenSceneLogSource", "SceneInfo"]
