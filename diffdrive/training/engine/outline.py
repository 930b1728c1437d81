"""What a run will do, before it does it."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.training.config import Strategy, TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.engine.devices import launch_of_this_process
from diffdrive.training.optim import LearningRate


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutline:
    """The figures of a run that follow from its configuration and its data."""

    config: TrainingConfig
    train_scenes: int
    validation_scenes: int
    steps_per_epoch: int

    @classmethod
    def of(cls, config: TrainingConfig, data: PlannerDataModule) -> RunOutline:
        """Raises ``InputError`` where the data do not fill one step."""
        order = data.train_order(0, config.processes)
        return cls(
            config=config,
            train_scenes=len(data.split.train),
            validation_scenes=len(data.split.validation),
            steps_per_epoch=order.steps_per_epoch,
        )

    @property
    def steps(self) -> int:
        """Optimiser steps at most; ``max_minutes`` may end the run before."""
        steps = self.steps_per_epoch * self.config.epochs
        return steps if self.config.max_steps is None else min(steps, self.config.max_steps)

    def lines(self) -> list[str]:
        """For people."""
        config = self.config
        strategy = {Strategy.AUTO: "ddp"}.get(config.strategy, config.strategy.value)
        machines = f"{config.nodes} x {config.devices}" if config.nodes > 1 else f"{config.devices}"
        launch = launch_of_this_process().by
        shared = f", {strategy}, started by {launch}" if config.processes > 1 or config.strategy is Strategy.FSDP else ""
        return [
            f"run       '{config.folder}', seed {config.seed}",
            f"devices   {machines} ({config.accelerator}{shared}), precision {config.precision}",
            f"scenes    {self.train_scenes} train, {self.validation_scenes} validate",
            f"batch     {config.global_batch_size} scenes a step ({config.data.batch_size} x {config.processes} processes x "
            f"{config.accumulate} accumulated)",
            *self._end_to_end(),
            *(f"then      {stage}" for stage in self._later_stages()),
        ]

    def _end_to_end(self) -> list[str]:
        config = self.config
        if config.epochs == 0:
            return [f"steps     none end to end, from '{config.initial.checkpoint}'"]
        optimizer = config.optimizer.for_batch(config.global_batch_size)
        rate = LearningRate(
            config=optimizer, epochs=config.epochs, steps_per_epoch=self.steps_per_epoch, max_steps=config.max_steps
        )
        minutes = "" if config.max_minutes is None else f", at most {config.max_minutes:g} min"
        return [
            f"steps     {self.steps} ({config.epochs} epochs of {self.steps_per_epoch}){minutes}",
            f"rate      {optimizer.lr:.2g} at most, {rate.at(self.steps - 1):.2g} at last",
        ]

    def _later_stages(self) -> list[str]:
        decoder, score = self.config.decoder_stage, self.config.score_stage
        found = []
        if decoder.is_used:
            steps = decoder.num_steps(self.train_scenes // decoder.batch_size)
            found.append(f"decoder stage, {steps} steps of {decoder.batch_size} scenes")
        if score.is_used:
            found.append(f"score stage, {score.draws} draws of every scene scored, {score.epochs} epochs")
        return found
