"""The second stage: the decoder alone."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStageConfig:
    """An optional second stage: perception frozen, its output kept in memory, the decoder alone trained on."""

    epochs: int = 0
    """0 leaves the stage out."""

    batch_size: int = 32
    lr: float = 1e-3
    min_lr: float = 1e-5
    weight_decay: float = 1e-2
    ema_decay: float = 0.995
    gradient_clip_norm: float = 10.0

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or not 0 < self.min_lr <= self.lr or not 0 < self.ema_decay < 1:
            raise InputError(
                f"DecoderStageConfig needs epochs >= 0, batch_size >= 1, 0 < min_lr <= lr and 0 < ema_decay < 1, got "
                f"{self.epochs}, {self.batch_size}, {self.min_lr}, {self.lr}, {self.ema_decay}."
            )
