"""The second stage: the decoder alone."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diffdrive.contracts import InputError


class Keep(enum.Enum):
    """Which weights a stage ends with; both are averages."""

    BEST = "best"
    """Those of the epoch with the smallest validation ADE, the start included: a stage that does not help changes nothing."""

    LAST = "last"
    """Those of the last step: for comparisons, in which every contestant takes the same steps and none is picked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStageConfig:
    """An optional second stage: perception frozen, its output kept in memory, the decoder and its BEV map's joining trained."""

    epochs: int = 0
    """0 leaves the stage out, unless ``steps`` says how long it is."""

    steps: int | None = None
    """Optimiser steps, in place of ``epochs``."""

    batch_size: int = 32
    lr: float = 1e-3
    min_lr: float = 1e-5
    weight_decay: float = 1e-2
    ema_decay: float = 0.995
    gradient_clip_norm: float = 10.0
    keep: Keep = Keep.BEST

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or not 0 < self.min_lr <= self.lr or not 0 < self.ema_decay < 1:
            raise InputError(
                f"DecoderStageConfig needs epochs >= 0, batch_size >= 1, 0 < min_lr <= lr and 0 < ema_decay < 1, got "
                f"{self.epochs}, {self.batch_size}, {self.min_lr}, {self.lr}, {self.ema_decay}."
            )
        if self.steps is not None and self.steps < 1:
            raise InputError(f"DecoderStageConfig.steps must be at least 1, got {self.steps}. Set epochs to 0 for no stage.")

    @property
    def is_used(self) -> bool:
        return self.epochs > 0 or self.steps is not None

    def num_steps(self, steps_per_epoch: int) -> int:
        """Optimiser steps of the whole stage."""
        return self.steps if self.steps is not None else self.epochs * steps_per_epoch
