"""From rows of a feature cache to batches: in which order, read by whom, and what of a scene that cannot be read."""

from diffdrive.training.loading.bad_scenes import BadSceneReport
from diffdrive.training.loading.batches import BatchLoader
from diffdrive.training.loading.order import BatchOrder
from diffdrive.training.loading.reader import SceneReader

__all__ = ["BadSceneReport", "BatchLoader", "BatchOrder", "SceneReader"]
