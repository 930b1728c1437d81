"""The feature cache of a run: opened, or built first. Of several processes the first one builds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from diffdrive.model import PlannerConfig, planner_config
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine.devices import launch_of_this_process
from diffdrive.training.scene_sources import open_source, source_identity

logger = logging.getLogger(__name__)

_WAIT_S = 1.0
_REMIND_S = 60.0


def open_cache(config: TrainingConfig, *, workers: int = 1, progress: Callable[[int, int], None] | None = None) -> FeatureCache:
    """The features of the configured scenes, built first where they are not there yet.

    Where torchrun or Slurm started several processes, all but the first wait for the cache: ``data.cache`` must lie where
    every machine sees it, or be built on each with ``diffdrive train --cache-only`` before.
    """
    planner = planner_config(config.preset, config.planner)
    if config.data.features is not None:
        return _finished_cache(config.data.features, planner)
    source = open_source(config.data.source)
    tokens = tuple(source.tokens)
    if config.data.max_scenes is not None and config.data.max_scenes < len(tokens):
        tokens = tuple(tokens[i] for i in np.linspace(0, len(tokens) - 1, config.data.max_scenes).astype(int))
    identity = source_identity(source, config.data.source)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source=identity, tokens=tokens)
    if launch_of_this_process().rank > 0:
        _wait_for(spec.folder(config.data.cache))
    return open_or_build(config.data.cache, spec, partial(open_source, config.data.source), workers=workers, progress=progress)


def _finished_cache(folder: Path, planner: PlannerConfig) -> FeatureCache:
    cache = FeatureCache(folder)
    cache.expect(replace(cache.spec, inputs=planner.inputs, targets=planner.targets))
    return cache


def _wait_for(folder: Path) -> None:
    """Until another process has built the cache, which appears whole."""
    begin = reminded = time.monotonic()
    while not folder.exists():
        if time.monotonic() - reminded > _REMIND_S:
            reminded = time.monotonic()
            logger.info("waiting for the first process to build '%s' (%.0f min)", folder, (reminded - begin) / 60)
        time.sleep(_WAIT_S)
