"""A tiny cache and a tiny planner, shared by the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_source import MemorySource
from tiny_planner import TINY_PLANNER

from diffdrive.configuration import build
from diffdrive.model import planner_config
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.config import TrainingConfig


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    source = MemorySource(12)
    planner = planner_config("nano", TINY_PLANNER)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source="memory", tokens=source.tokens)
    return open_or_build(tmp_path_factory.mktemp("tiny"), spec, lambda: source)


@pytest.fixture
def tiny_config(tmp_path: Path) -> TrainingConfig:
    """Nine scenes train in four steps an epoch, three validate."""
    return build(
        TrainingConfig,
        {
            "name": "tiny",
            "output": str(tmp_path),
            "planner": TINY_PLANNER,
            "data": {"batch_size": 2, "validation_locations": ["town-3"]},
            "augmentation": {"mirror_probability": 0.5},
            "optimizer": {"lr": 1e-3, "ema_decay": 0.9, "warmup_epochs": 1.0},
            "epochs": 2,
            "accelerator": "cpu",
            "progress_bar": False,
        },
    )
