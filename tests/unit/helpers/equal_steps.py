"""A few training steps of a tiny planner, cut up in a given way; also a program that one of several processes runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tiny_planner import TINY_PLANNER

from diffdrive.configuration import build
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.fit import planner_and_anchors
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule

SCENES_OF_A_STEP = 4


class FixedStatistics(pl.Callback):
    """Batch norms use their running statistics: those of a batch would depend on how the step is cut up."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


class SteadyModule(PlannerLightningModule):
    """Adam divides by the size of a gradient. One that is nothing but rounding would become a full step, of either sign."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["eps"] = 1e-2
        return optimizer


def state_after_steps(cache: FeatureCache, folder: Path, steps: int, *, processes: int, accumulate: int) -> dict[str, Tensor]:
    """Weights and their average, after steps of ``SCENES_OF_A_STEP`` scenes each."""
    config = build(
        TrainingConfig,
        {
            "output": str(folder),
            "planner": {**TINY_PLANNER, "fusion_dropout": 0.0, "decoder_dropout": 0.0},
            "data": {"batch_size": SCENES_OF_A_STEP // processes // accumulate, "validation_locations": ["town-3"]},
            # Box errors are averaged over the vehicles of a batch, so they depend on how the step is cut up.
            "weights": {"agent_box": 0.0},
            "optimizer": {"lr": 1e-3, "ema_decay": 0.9, "warmup_epochs": 1.0, "lr_multipliers": {"backbone": 0.5}},
            "devices": processes,
            "accumulate": accumulate,
        },
    )
    config.folder.mkdir(parents=True, exist_ok=True)
    data = PlannerDataModule(cache, config.data, seed=config.seed, accumulate=accumulate)
    planner, anchors = planner_and_anchors(config, cache, data.split.train)
    module = SteadyModule(config, planner, anchors, steps_per_epoch=2)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="auto" if processes == 1 else "ddp",
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        callbacks=[FixedStatistics()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=data)
    average = module.average
    averaged = {f"average.{name}": tensor for name, tensor in average.state.items()} if average is not None else {}
    return {**module.model.state_dict(), **averaged}


def main() -> None:
    """Of one process of two: first plain, then accumulated; the first process writes both states."""
    cache, folder, steps, out = sys.argv[1:]
    torch.set_num_threads(1)
    opened = FeatureCache(Path(cache))
    states = [state_after_steps(opened, Path(folder), int(steps), processes=2, accumulate=count) for count in (1, 2)]
    if pl.utilities.rank_zero_only.rank == 0:
        torch.save(states, out)


if __name__ == "__main__":
    main()
