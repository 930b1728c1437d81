"""The network, its losses and its optimiser as one Lightning module.

Randomness is a function of (seed, step, rank): noise, noise levels, mirroring and dropout of step n are the same in a run that
was interrupted before and in one that was not.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.model import PlannerConfig, PlannerModel, SceneFeatures
from diffdrive.training.augmentation import mirror_some
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config import TrainingConfig
from diffdrive.training.lightning import pl
from diffdrive.training.objectives import denoising_losses, planner_losses
from diffdrive.training.optim import LearningRate, WeightAverage, build_optimizer, set_rate

_VALIDATION_STREAM = 1_000_003


class PlannerLightningModule(pl.LightningModule):
    """Trains ``model``. ``batch`` is a ``PackedBatch`` throughout; ``steps_per_epoch`` shapes the learning rate."""

    def __init__(self, config: TrainingConfig, planner: PlannerConfig, anchors: Tensor, *, steps_per_epoch: int) -> None:
        super().__init__()
        self.config = config
        self.planner = planner
        # The initial weights are part of the run, so they come from its seed, not from what was drawn before.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = PlannerModel(planner, anchors)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.rate = LearningRate(config=config.optimizer, epochs=config.epochs, steps_per_epoch=steps_per_epoch)
        decay = config.optimizer.ema_decay
        self.average = None if decay is None else WeightAverage(self.model, decay)
        self._started_s = time.monotonic()
        self._earlier_s = 0.0

    # Training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; its rate is set before every step."""
        # A gradient scaler cannot hand its unscaling to a fused optimiser and clip as well.
        return build_optimizer(self.model, self.config.optimizer, fused=self.config.precision != "16-mixed")

    def on_fit_start(self) -> None:
        self._started_s = time.monotonic()
        if self.average is not None:
            self.average.to(self.device)

    def on_train_batch_start(self, batch: PackedBatch, batch_idx: int) -> None:
        """Set the learning rate, and seed the global generator that dropout draws from."""
        torch.manual_seed(self._seed_of(self.global_step))
        rate = self.rate.at(self.global_step, elapsed_fraction=self._elapsed_fraction())
        (optimizer,) = self.trainer.optimizers
        rates = set_rate(optimizer, rate, self.config.optimizer)
        self.log("train/lr", rate, batch_size=len(batch))
        self.log_dict({f"train/lr/{name}": value for name, value in rates.items() if len(rates) > 1}, batch_size=len(batch))

    def training_step(self, batch: PackedBatch, batch_idx: int) -> Tensor:
        """The weighted sum of all losses of one batch."""
        generator = torch.Generator().manual_seed(self._seed_of(self.global_step))
        noise, levels = self._draw(len(batch), generator)
        batch = mirror_some(batch, self.config.augmentation.mirror_probability, generator)
        inputs, targets = batch.inputs(self.planner.inputs), batch.targets()
        losses = denoising_losses(self.model, inputs, targets, noise, levels, self.config.weights)
        total = losses.total
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.terms.items()}, batch_size=len(batch))
        self.log("train/loss", total.detach(), prog_bar=True, batch_size=len(batch))
        return total

    def on_train_batch_end(self, outputs: Any, batch: PackedBatch, batch_idx: int) -> None:
        if self.average is not None:
            self.average.update(self.model)

    # Validation

    def on_validation_start(self) -> None:
        self._averaged = self.averaged_weights()
        self._averaged.__enter__()

    def on_validation_end(self) -> None:
        self._averaged.__exit__(None, None, None)

    def averaged_weights(self) -> AbstractContextManager[None]:
        """Inside this context the model has the weights that validation and export use."""
        return nullcontext() if self.average is None else self.average.applied_to(self.model)

    def validation_step(self, batch: PackedBatch, batch_idx: int) -> None:
        """Displacement errors (metres) of the chosen trajectory and of the best proposal, and the losses of the first pass.

        The noise of a batch is the same in every validation.
        """
        generator = torch.Generator().manual_seed(_VALIDATION_STREAM * (self.config.seed + 1) + batch_idx)
        noise, _ = self._draw(len(batch), generator)
        inputs, targets = batch.inputs(self.planner.inputs), batch.targets()
        proposals = self.model(inputs, noise)
        distances = (proposals.poses[..., :2] - targets.trajectory[:, None, :, :2]).norm(dim=-1)  # [B, M, T]
        rows = torch.arange(len(batch), device=distances.device)
        chosen = distances[rows, proposals.logits.argmax(dim=1)]
        # Proposals and SceneFeatures both carry the agents and BEV logits that the losses read.
        seen = cast(SceneFeatures, proposals)
        losses = planner_losses(proposals.passes[0], seen, targets, self.model.anchors, self.config.weights)
        metrics = {
            "ade": chosen.mean(),
            "fde": chosen[:, -1].mean(),
            "min_ade": distances.mean(dim=2).amin(dim=1).mean(),
            "loss": losses.total,
        }
        for name, value in metrics.items():
            self.log(f"val/{name}", value, prog_bar=name in ("ade", "min_ade"), batch_size=len(batch), sync_dist=True)

    # State

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["diffdrive"] = {
            "planner": to_mapping(self.planner),
            "average": None if self.average is None else self.average.to_dict(),
            "elapsed_s": self._elapsed_s(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ``InputError`` for a checkpoint of another network or without the average that this run keeps."""
        saved = checkpoint.get("diffdrive")
        if saved is None:
            raise InputError("This is not a checkpoint of diffdrive's training. Give --resume a .ckpt file that it wrote.")
        if saved["planner"] != to_mapping(self.planner):
            raise InputError(
                "The checkpoint holds another network than the configuration describes. Resume with its config.yaml."
            )
        if (saved["average"] is None) != (self.average is None):
            raise InputError("The checkpoint was trained with another optimizer.ema_decay. Resume with its config.yaml.")
        if self.average is not None:
            self.average.load_dict(saved["average"])
        self._earlier_s = float(saved["elapsed_s"])

    # Randomness and time

    def _draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(count, *self.planner.noise_shape, generator=generator)
        levels = torch.randint(self.planner.num_train_levels, (count,), generator=generator)
        return noise.to(self.device), levels.to(self.device)

    def _seed_of(self, step: int) -> int:
        return (self.config.seed * 1_000_000_007 + step * 1_009 + self.global_rank) % (2**63)

    def _elapsed_s(self) -> float:
        return self._earlier_s + time.monotonic() - self._started_s

    def _elapsed_fraction(self) -> float:
        if not self.config.optimizer.anneal_by_time or self.config.max_minutes is None:
            return 0.0
        fraction = self._elapsed_s() / (60.0 * self.config.max_minutes)
        # Every process must take the same step, so the first one's clock counts.
        return float(self.trainer.strategy.broadcast(fraction))
