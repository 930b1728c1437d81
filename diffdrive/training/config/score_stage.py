"""The last stage: the last layer learns what the scorer says of its proposals."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStageConfig:
    """An optional last stage: proposals of the training scenes are scored (PDMS), and the cascade's last layer learns to tell.

    Imitation teaches a score to name the anchor nearest to what was driven, whatever the proposal made of it. Here its target
    is how well each proposal drives, as in Hydra-MDP (arXiv 2406.06978), while the proposals are held where they are.
    """

    epochs: int = 0
    """0 leaves the stage out."""

    draws: int = 2
    """Noises of each scene whose proposals are scored."""

    batch_size: int = 32
    lr: float = 5e-4
    warmup_steps: int = 50
    weight_decay: float = 1e-2
    hold_weight: float = 2.0
    """Loss of a metre (or radian) by which a proposal moves, on average, against the binary cross-entropy of scores."""

    gradient_clip_norm: float = 10.0

    def __post_init__(self) -> None:
        if self.epochs < 0 or min(self.draws, self.batch_size) < 1 or self.warmup_steps < 0:
            raise InputError(
                "ScoreStageConfig needs epochs and warmup_steps of at least 0, draws and batch_size of at least 1, got "
                f"{self.epochs}, {self.warmup_steps}, {self.draws}, {self.batch_size}."
            )
        if not (self.lr > 0 and self.weight_decay >= 0 and self.hold_weight >= 0 and self.gradient_clip_norm > 0):
            raise InputError(
                "ScoreStageConfig needs a positive lr and gradient_clip_norm, weight_decay and hold_weight of at least 0, got "
                f"{self.lr}, {self.gradient_clip_norm}, {self.weight_decay}, {self.hold_weight}."
            )

    @property
    def is_used(self) -> bool:
        return self.epochs > 0
