"""The network of a run: its configuration, and the anchors it denoises from."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from diffdrive.anchors import AnchorSet, fit_anchors
from diffdrive.diffusion import BoxNormalizer
from diffdrive.model import PlannerConfig, planner_config
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine.devices import launch_of_this_process


def planner_and_anchors(config: TrainingConfig, cache: FeatureCache, rows: np.ndarray) -> tuple[PlannerConfig, Tensor]:
    """The planner's configuration and its anchors [M, T, 2], clustered from the scenes at ``rows`` unless a file is named.

    A run that goes on from an exported planner keeps its anchors and its box.
    """
    planner = planner_config(config.preset, config.planner)
    if config.initial.checkpoint is not None and config.anchors is None:
        start = load_checkpoint(config.initial.checkpoint)
        return _within(planner, config, start.config.normalizer), start.anchors
    anchors = AnchorSet.load(config.anchors) if config.anchors is not None else _clustered(config, planner, cache, rows)
    box = anchors.bounds
    normalizer = BoxNormalizer(x_min_m=box.x_min_m, x_max_m=box.x_max_m, y_min_m=box.y_min_m, y_max_m=box.y_max_m)
    return _within(planner, config, normalizer), torch.from_numpy(anchors.points.copy())


def _within(planner: PlannerConfig, config: TrainingConfig, normalizer: BoxNormalizer) -> PlannerConfig:
    """``planner`` with the box that comes with its anchors, unless the run's configuration names one."""
    return planner if "normalizer" in config.planner else replace(planner, normalizer=normalizer)


def _clustered(config: TrainingConfig, planner: PlannerConfig, cache: FeatureCache, rows: np.ndarray) -> AnchorSet:
    """Anchors of the scenes at ``rows``; those that an earlier start made of the same scenes are taken again."""
    kept = config.folder / "anchors.npy"
    scenes = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:8]
    source = f"{cache.spec.source}, {len(rows)} training scenes (cache {cache.spec.key[:12]}, rows {scenes})"
    if kept.is_file() and kept.with_suffix(".json").is_file():
        anchors = AnchorSet.load(kept)
        if (anchors.source, anchors.num_modes, anchors.seed) == (source, planner.num_modes, config.seed):
            return anchors
    driven = cache.column("trajectory")[rows]
    anchors = fit_anchors(driven, planner.num_modes, config.seed, source, planner.targets.interval_s)
    # Every process clusters the same; one writes.
    if launch_of_this_process().rank == 0:
        anchors.save(kept)
    return anchors
