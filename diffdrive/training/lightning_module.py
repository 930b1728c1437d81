"""The network, its losses and its optimiser as one Lightning module.

batch --augment--> inputs, targets --denoise--> losses --note--> backward --norm--> guard --clip--> AdamW --> average
                                     noise and levels are functions of (seed, step, sample): ``randomness``
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.model import PlannerConfig, SceneFeatures
from diffdrive.tensors import PlannerInputs, Proposals
from diffdrive.training.augmentation import augment
from diffdrive.training.cache import PackedBatch
from diffdrive.training.compilation import compile_network
from diffdrive.training.config import TrainingConfig
from diffdrive.training.displacements import displacements
from diffdrive.training.initial import new_network
from diffdrive.training.lightning import pl
from diffdrive.training.objectives import denoising_losses, planner_losses
from diffdrive.training.optim import (
    LearningRate,
    WeightAverage,
    build_optimizer,
    clip_gradient,
    gradient_norm,
    parameter_groups,
    set_rate,
)
from diffdrive.training.randomness import BatchPlace, Stream, batch_seed, draw_noise
from diffdrive.training.run_clock import RunClock
from diffdrive.training.step_guard import StepGuard


class PlannerLightningModule(pl.LightningModule):
    """Trains ``model``. ``batch`` is a ``PackedBatch`` throughout; ``steps_per_epoch`` shapes the learning rate."""

    def __init__(self, config: TrainingConfig, planner: PlannerConfig, anchors: Tensor, *, steps_per_epoch: int) -> None:
        super().__init__()
        self.config = config
        self.planner = planner
        self.model = new_network(config, planner, anchors)
        self.optimizer_config = config.optimizer.for_batch(config.global_batch_size)
        self.rate = LearningRate(
            config=self.optimizer_config, epochs=config.epochs, steps_per_epoch=steps_per_epoch, max_steps=config.max_steps
        )
        decay = config.optimizer.ema_decay
        self.average = None if decay is None else WeightAverage(self.model, decay)
        self.guard = StepGuard(self.model, config.optimizer, self._tokens_of)
        self.clock = RunClock()

    def forward(self, inputs: PlannerInputs, noise: Tensor) -> Proposals:
        """Plan."""
        return cast(Proposals, self.model(inputs, noise))

    # Training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; its rate is set before every step."""
        # A gradient scaler cannot hand its unscaling to a fused optimiser and clip as well.
        return build_optimizer(self.model, self.optimizer_config, fused=self.config.precision != "16-mixed")

    def on_fit_start(self) -> None:
        self.clock.start()
        if self.average is not None:
            self.average.to(self.device)
        if self.config.compile:
            compile_network(self.model)

    def on_train_batch_start(self, batch: PackedBatch, batch_idx: int) -> None:
        """Set the learning rate, and seed the global generator that dropout draws from."""
        place = self._place(batch_idx)
        torch.manual_seed(batch_seed(self.config.seed, Stream.NETWORK, place))
        if place.micro:
            return
        self.guard.begin()
        rate = self.rate.at(self.global_step, elapsed_fraction=self._elapsed_fraction())
        (optimizer,) = self.trainer.optimizers
        rates = set_rate(optimizer, rate, self.optimizer_config)
        self.log("train/lr", rate, batch_size=len(batch))
        self.log_dict({f"train/lr/{name}": value for name, value in rates.items() if len(rates) > 1}, batch_size=len(batch))

    def training_step(self, batch: PackedBatch, batch_idx: int) -> Tensor:
        """The weighted sum of all losses of one batch."""
        place = self._place(batch_idx)
        noise, levels = self._draw(Stream.DENOISING, place, len(batch))
        generator = torch.Generator().manual_seed(batch_seed(self.config.seed, Stream.AUGMENTATION, place))
        batch = augment(batch, self.config.augmentation, self.planner, generator)
        inputs, targets = batch.inputs(self.planner.inputs), batch.targets()
        losses = denoising_losses(self.model, inputs, targets, noise, levels, self.config.weights)
        self.guard.note(batch, losses)
        total = losses.total
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.terms.items()}, batch_size=len(batch))
        self.log("train/loss", total.detach(), prog_bar=True, batch_size=len(batch))
        return total

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Look at the gradient before it is used, then clip it. Lightning calls this for every optimiser step."""
        parameters = list(self.model.parameters())
        norm = gradient_norm(parameters)
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if self.guard.is_good(self.global_step, norm, has_scaler=scaler is not None):
            self.log("train/gradient_norm", norm)
            if self.config.optimizer.gradient_clip_norm is not None:
                clip_gradient(parameters, norm, self.config.optimizer.gradient_clip_norm)
        self.log("train/skipped_steps", float(self.guard.num_skipped))

    def on_train_batch_end(self, outputs: Any, batch: PackedBatch, batch_idx: int) -> None:
        if self.average is not None and self._place(batch_idx).micro == self.config.accumulate - 1:
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
        size, processes = self.config.data.batch_size, self.config.processes
        place = BatchPlace(step=batch_idx, size=size, rank=self.global_rank, world_size=processes)
        noise, _ = self._draw(Stream.VALIDATION, place, len(batch))
        inputs, targets = batch.inputs(self.planner.inputs), batch.targets()
        proposals = self.model(inputs, noise)
        # Proposals and SceneFeatures both carry the agents and BEV logits that the losses read.
        seen = cast(SceneFeatures, proposals)
        losses = planner_losses(proposals.passes[0], seen, targets, self.model.matched_anchors, self.config.weights)
        metrics = {**displacements(proposals, targets.trajectory), "loss": losses.total}
        for name, value in metrics.items():
            self.log(f"val/{name}", value, prog_bar=name in ("ade", "min_ade"), batch_size=len(batch), sync_dist=True)

    # State

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["diffdrive"] = {
            "planner": to_mapping(self.planner),
            "average": None if self.average is None else self.average.to_dict(),
            "elapsed_s": self.clock.elapsed_s,
            "skipped_steps": self.guard.num_skipped,
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
        self._check_groups(checkpoint)
        self.clock.start(earlier_s=float(saved["elapsed_s"]))
        # The best checkpoint is loaded at the end of a run that may have left out more since.
        self.guard.num_skipped = max(self.guard.num_skipped, int(saved.get("skipped_steps", 0)))

    def _check_groups(self, checkpoint: dict[str, Any]) -> None:
        ours = [len(group.parameters) for group in parameter_groups(self.model, self.optimizer_config)]
        for saved in checkpoint.get("optimizer_states", []):
            if [len(group["params"]) for group in saved["param_groups"]] != ours:
                raise InputError(
                    "The checkpoint's optimiser groups its parameters otherwise: optimizer.lr_multipliers or decay_all differ. "
                    "Resume with its config.yaml, or begin anew from its export with initial.checkpoint."
                )

    # Randomness and time

    def _place(self, batch_idx: int) -> BatchPlace:
        """Epochs hold whole steps, so a batch's number in its epoch tells its place in its step."""
        return BatchPlace(
            step=self.global_step,
            size=self.config.data.batch_size,
            micro=batch_idx % self.config.accumulate,
            accumulate=self.config.accumulate,
            rank=self.global_rank,
            world_size=self.config.processes,
        )

    def _draw(self, stream: Stream, place: BatchPlace, count: int) -> tuple[Tensor, Tensor]:
        shape, levels = self.planner.noise_shape, self.planner.num_train_levels
        drawn = draw_noise(self.config.seed, stream, place, count, shape=shape, num_levels=levels)
        return drawn[0].to(self.device), drawn[1].to(self.device)

    def _tokens_of(self, step: int, micro: int) -> Sequence[str]:
        """Scenes of this process's batch ``micro`` of ``step``."""
        data = getattr(self.trainer, "datamodule", None)
        return [] if data is None else data.training_tokens(step, micro)

    def _elapsed_fraction(self) -> float:
        if not self.config.optimizer.anneal_by_time or self.config.max_minutes is None:
            return 0.0
        fraction = self.clock.elapsed_s / (60.0 * self.config.max_minutes)
        # Every process must take the same step, so the first one's clock counts.
        return float(self.trainer.strategy.broadcast(fraction))
