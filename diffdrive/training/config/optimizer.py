"""AdamW, its learning rates and the average of its weights."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from diffdrive.contracts import InputError


class Schedule(enum.Enum):
    """How the learning rate moves. Both warm up linearly, then follow half a cosine down to ``min_lr``."""

    STEP = "step"
    """A new rate at each step."""

    EPOCH = "epoch"
    """A new rate at each epoch, the reference recipe: epoch e of w warm-up epochs runs at lr (e + 1) / w."""


class OnNan(enum.Enum):
    """What to do with a step whose loss or gradient is not finite. Either way the weights never see it."""

    STOP = "stop"
    """End the run with an error that names the step, the losses and the scenes."""

    SKIP = "skip"
    """Leave the step out, say so and count it; too many in a row end the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW and its learning rate."""

    lr: float = 6e-4
    min_lr: float = 1e-6
    lr_batch_size: int | None = None
    """``lr`` and ``min_lr`` are for steps of this many samples and are scaled in proportion to the samples that a step of
    this run has (all processes, all accumulated batches). None takes them as they are."""

    lr_multipliers: dict[str, float] = field(default_factory=dict)
    """Shares of the learning rate, by how the parameters' names begin: ``{backbone.image_encoder: 0.5}``."""

    multipliers_apply: bool = True
    """False declares the multipliers but trains all parameters at one rate, as the public code does: its scheduler
    overwrites them."""

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

    on_nan: OnNan = OnNan.STOP
    max_skips_in_row: int = 10
    """Of ``on_nan: skip``."""

    def __post_init__(self) -> None:
        if not self.lr > 0 or not 0 <= self.min_lr <= self.lr or self.warmup_epochs < 0:
            raise InputError(
                f"OptimizerConfig needs lr > 0, 0 <= min_lr <= lr and warmup_epochs >= 0, "
                f"got {self.lr}, {self.min_lr}, {self.warmup_epochs}."
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"OptimizerConfig.ema_decay must lie in (0, 1), got {self.ema_decay}.")
        if self.gradient_clip_norm is not None and not self.gradient_clip_norm > 0:
            raise InputError(
                f"OptimizerConfig.gradient_clip_norm must be positive, got {self.gradient_clip_norm}. Use null to not clip."
            )
        if (self.lr_batch_size is not None and self.lr_batch_size < 1) or self.max_skips_in_row < 0:
            raise InputError(
                f"OptimizerConfig needs lr_batch_size >= 1 (or null) and max_skips_in_row >= 0, "
                f"got {self.lr_batch_size}, {self.max_skips_in_row}."
            )
        _check_multipliers(self.lr_multipliers)

    def multiplier(self, prefix: str) -> float:
        """The share of the learning rate that applies to the group called ``prefix``."""
        return float(self.lr_multipliers.get(prefix, 1.0)) if self.multipliers_apply else 1.0

    def for_batch(self, size: int) -> OptimizerConfig:
        """The same optimiser with its rates stated for steps of ``size`` samples."""
        if self.lr_batch_size is None or self.lr_batch_size == size:
            return self
        factor = size / self.lr_batch_size
        return replace(self, lr=self.lr * factor, min_lr=self.min_lr * factor, lr_batch_size=size)


def _check_multipliers(multipliers: Any) -> None:
    shares = multipliers.values() if isinstance(multipliers, Mapping) else [multipliers]
    if not isinstance(multipliers, Mapping) or any(not isinstance(x, int | float) or x < 0 for x in shares):
        raise InputError(
            f"OptimizerConfig.lr_multipliers must map starts of parameters' names to shares of the rate, got {multipliers!r}. "
            "On the command line: 'optimizer.lr_multipliers={backbone.image_encoder: 0.5}'."
        )
