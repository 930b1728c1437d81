"""The learning rate as a pure function of progress."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffdrive.contracts import InputError
from diffdrive.training.config import OptimizerConfig, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """Linear warm-up, then half a cosine from ``config.lr`` to ``config.min_lr``."""

    config: OptimizerConfig
    epochs: int
    steps_per_epoch: int
    max_steps: int | None = None
    """The run's end where that comes before the end of its epochs. A schedule by epochs does not look at it."""

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise InputError("The training set is smaller than one batch: lower data.batch_size or add scenes.")

    @property
    def num_steps(self) -> int:
        """Of the whole run."""
        steps = self.epochs * self.steps_per_epoch
        return steps if self.max_steps is None else min(steps, self.max_steps)

    def at(self, step: int, *, elapsed_fraction: float = 0.0) -> float:
        """The rate of optimiser step ``step`` (0 is the first).

        ``elapsed_fraction`` of the allowed time replaces the share of steps done where it is larger.
        """
        if self.config.schedule is Schedule.EPOCH:
            position, warmup, total = step // self.steps_per_epoch, self.config.warmup_epochs, self.epochs
        else:
            position, warmup, total = step, self.config.warmup_epochs * self.steps_per_epoch, self.num_steps
        if position + 1 <= warmup:
            return self.config.lr * (position + 1) / warmup
        progress = max((position - warmup) / max(total - warmup, 1), elapsed_fraction)
        swing = 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
        return self.config.min_lr + (self.config.lr - self.config.min_lr) * swing
