"""What a run measures of itself and leaves to look at."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diffdrive.contracts import InputError


class BestBy(enum.Enum):
    """What makes a validation the best of its run."""

    ADE = "ade"
    """The smallest mean displacement."""

    PDMS = "pdms"
    """The largest score; needs ``pdms_scenes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """What is measured on the validation scenes besides losses and displacement."""

    monitor: BestBy = BestBy.ADE
    """Which validation's weights ``best.ckpt`` keeps and the run exports."""

    pdms_scenes: int = 0
    """Score the chosen trajectories of this many validation scenes, evenly spread, with the project's PDMS. 0 leaves it out.
    Needs ``data.source``: a score is computed from scenes, which a feature cache does not hold."""

    plan_images: int = 0
    """Draw the proposals of this many validation scenes, evenly spread, after every validation. Needs ``data.source`` and
    matplotlib."""

    def __post_init__(self) -> None:
        if self.pdms_scenes < 0 or self.plan_images < 0:
            raise InputError(
                f"ValidationConfig: pdms_scenes and plan_images must not be negative, "
                f"got {self.pdms_scenes}, {self.plan_images}."
            )
        if self.monitor is BestBy.PDMS and not self.pdms_scenes:
            raise InputError("ValidationConfig.monitor = pdms needs pdms_scenes above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingConfig:
    """Where logged numbers go. CSV files are always written."""

    tensorboard: bool = True
    """Also write TensorBoard event files, where the tensorboard package is installed."""

    wandb_project: str | None = None
    """Also log to this Weights & Biases project."""

    checkpoint_minutes: float = 10.0
    """Write ``checkpoints/last.ckpt`` at least this often: what a killed run loses at most."""

    log_every_steps: int = 10

    def __post_init__(self) -> None:
        if not self.checkpoint_minutes > 0 or self.log_every_steps < 1:
            raise InputError(
                f"RecordingConfig: checkpoint_minutes and log_every_steps must be positive, "
                f"got {self.checkpoint_minutes}, {self.log_every_steps}."
            )
