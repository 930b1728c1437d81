"""One of several processes that train a tiny run straight through, and once more with an interruption.

    python engine_worker.py FOLDER SIGNAL [KEY=VALUE ...]

Process 1 sends itself SIGNAL after step 1 of the interrupted run. The folder then holds straight/ and interrupted/.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from memory_source import MemorySource
from tiny_planner import TINY_PLANNER

from diffdrive.configuration import build
from diffdrive.model import planner_config
from diffdrive.training.cache import CacheSpec, open_or_build
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine.learning_curves import LearningCurves
from diffdrive.training.engine.outcomes import InterruptedTrainingError
from diffdrive.training.fit import fit
from diffdrive.training.lightning_module import PlannerLightningModule

CONFIG: dict[str, Any] = {
    "planner": TINY_PLANNER | {"decoder_layers": 1, "fusion_layers": 1},
    "data": {"batch_size": 2, "validation_locations": ["town-3"]},
    "optimizer": {"lr": 1e-3, "ema_decay": 0.9},
    "recording": {"log_every_steps": 1, "tensorboard": False},
    "epochs": 1,
    "accelerator": "cpu",
    "accumulate": 2,
    "progress_bar": False,
    "threads": 1,
}


def main(folder: Path, name: str, overrides: list[str]) -> None:
    torch.set_num_threads(1)
    LearningCurves.on_train_epoch_end = lambda *_: None  # type: ignore[method-assign]  # seconds, tested elsewhere
    source, planner = MemorySource(24), planner_config("nano", TINY_PLANNER)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source="memory", tokens=source.tokens)
    cache = open_or_build(folder / "cache", spec, lambda: source)
    config = build(TrainingConfig, CONFIG | {"name": "straight", "output": str(folder)}, overrides)
    fit(config, cache)
    config = dataclasses.replace(config, name="interrupted")
    end = PlannerLightningModule.on_train_batch_end
    number = signal.Signals[name]

    def interrupting(module: PlannerLightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        end(module, outputs, batch, batch_idx)
        if module.global_rank == 1 and module.global_step == 1 and (batch_idx + 1) % config.accumulate == 0:
            signal.raise_signal(number)

    PlannerLightningModule.on_train_batch_end = interrupting  # type: ignore[method-assign]
    try:
        outcome = str(fit(config, cache))
    except InterruptedTrainingError as stop:
        outcome = f"{stop.status} {stop}"
    (folder / f"outcome-{os.environ.get('RANK', os.environ.get('SLURM_PROCID'))}").write_text(outcome)
    PlannerLightningModule.on_train_batch_end = end  # type: ignore[method-assign]
    fit(config, cache, resume="auto")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
