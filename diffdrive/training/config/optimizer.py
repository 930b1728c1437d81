"""AdamW, its learning rates and the average of its weights."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diffdrive.contracts import InputError


class Schedule(enum.Enum):
    """How the learning rate moves. Both warm up linearly, then follow half a cosine down to ``min_lr``."""

    STEP = "step"
    """A new rate at each step."""

    EPOCH = "epoch"
    """A new rate at each epoch, the reference recipe: epoch e of w warm-up epochs runs at lr (e + 1) / w."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW and its learning rate."""

    lr: float = 6e-4
    min_lr: float = 1e-6
    weight_decay: float = 1e-4
    decay_all: bool = False
    """Also decay biases, norms and embeddings, as the reference recipe does."""

    betas: tuple[float, float] = (0.9, 0.999)
    gradient_clip_norm: float | None = 1.0
    schedule: Schedule = Schedule.STEP
    warmup_epochs: float = 3.0
    anneal_by_time: bool = False
    """Also let the clock drive the cosine, so that it ends when ``max_minutes`` end. Such a run depends on the machine's
    speed and is not reproducible."""

    ema_decay: float | None = None
    """Average the weights with this decay per step; validation and the exported model use the average."""

    def __post_init__(self) -> None:
        if not self.lr > 0 or not 0 <= self.min_lr <= self.lr or self.warmup_epochs < 0:
            raise InputError(
                f"OptimizerConfig needs lr > 0, 0 <= min_lr <= lr and warmup_epochs >= 0, "
                f"got {self.lr}, {self.min_lr}, {self.warmup_epochs}."
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"OptimizerConfig.ema_decay must lie in (0, 1), got {self.ema_decay}.")
