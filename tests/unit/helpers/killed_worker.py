"""A tiny run that is killed before it ends: python killed_worker.py OUTPUT CACHE."""

from __future__ import annotations

import sys
from pathlib import Path

from tiny_planner import TINY_PLANNER

from diffdrive.configuration import build
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig
from diffdrive.training.fit import fit


def main(output: Path, cache: Path) -> None:
    config = build(
        TrainingConfig,
        {
            "name": "killed",
            "output": str(output),
            "planner": TINY_PLANNER,
            "data": {"batch_size": 2, "validation_locations": ["town-3"]},
            "augmentation": {"mirror_probability": 0.5},
            "optimizer": {"lr": 1e-3, "ema_decay": 0.9, "warmup_epochs": 1.0},
            "recording": {"checkpoint_minutes": 1e-4, "tensorboard": False},
            "epochs": 2,
            "accelerator": "cpu",
            "progress_bar": False,
        },
    )
    fit(config, FeatureCache(cache))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
