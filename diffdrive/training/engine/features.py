"""The feature cache of a run: opened, or built first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from diffdrive.model import PlannerConfig, planner_config
from diffdrive.training.cache import CacheSpec, FeatureCache, estimated_bytes, open_or_build
from diffdrive.training.cache.crews import Crew
from diffdrive.training.config import OnBadScene, TrainingConfig
from diffdrive.training.scene_sources import open_source, source_identity
from diffdrive.training.split import read_log_lists


def open_cache(
    config: TrainingConfig,
    *,
    workers: int = 1,
    crew: Crew | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureCache:
    """The features of the configured scenes, built first where they are not there yet, by ``workers`` processes or ``crew``.

    Of several processes that see the same ``data.cache`` one builds and the others wait. Scenes that cannot be turned into
    features end the build, or are left out and named where ``data.on_bad_scene`` says skip.
    """
    planner = planner_config(config.preset, config.planner)
    if config.data.log_lists is not None:
        read_log_lists(config.data.log_lists)  # now, not after hours of building
    if config.data.features is not None:
        return _finished_cache(config.data.features, planner)
    return open_or_build(
        config.data.cache,
        _spec(config, planner),
        partial(open_source, config.data.source),
        workers=workers,
        crew=crew,
        skip_bad=config.data.on_bad_scene is OnBadScene.SKIP,
        progress=progress,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesToBuild:
    """The feature cache that a run would build before it trains."""

    folder: Path
    num_scenes: int
    num_bytes: int
    """Estimated from a few scenes."""


def features_to_build(config: TrainingConfig) -> FeaturesToBuild | None:
    """None where the features of the run are there. Raises ``InputError`` for a source whose scenes cannot be read."""
    if config.data.features is not None:
        return None
    spec = _spec(config, planner_config(config.preset, config.planner))
    folder = spec.folder(config.data.cache)
    if folder.exists():
        return None
    size = estimated_bytes(spec, partial(open_source, config.data.source))
    return FeaturesToBuild(folder=folder, num_scenes=len(spec.tokens), num_bytes=size)


def _spec(config: TrainingConfig, planner: PlannerConfig) -> CacheSpec:
    source = open_source(config.data.source)
    tokens = tuple(source.tokens)
    if config.data.max_scenes is not None and config.data.max_scenes < len(tokens):
        tokens = tuple(tokens[i] for i in np.linspace(0, len(tokens) - 1, config.data.max_scenes).astype(int))
    return CacheSpec(
        inputs=planner.inputs,
        targets=planner.targets,
        source=source_identity(source, config.data.source),
        tokens=tokens,
        image_quality=config.data.image_quality,
    )


def _finished_cache(folder: Path, planner: PlannerConfig) -> FeatureCache:
    cache = FeatureCache(folder)
    cache.expect(replace(cache.spec, inputs=planner.inputs, targets=planner.targets))
    return cache
