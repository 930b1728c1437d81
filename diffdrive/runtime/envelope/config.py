"""Every number of the envelope, with its unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdrive.configuration import build, load_yaml
from diffdrive.contracts import InputError
from diffdrive.runtime.envelope.admission import InputPolicy
from diffdrive.runtime.envelope.feasibility import KinematicLimits
from diffdrive.runtime.envelope.selection import SelectionConfig
from diffdrive.runtime.fallback import DECELERATION_MPS2, JERK_MPS3
from diffdrive.vehicle import PACIFICA

_INPUTS, _LIMITS, _SELECTION = InputPolicy(), KinematicLimits(), SelectionConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Braking:
    """How a stop brakes."""

    deceleration: float
    """m/s^2, positive."""

    jerk: float
    """m/s^3: how fast the braking builds up."""

    def __post_init__(self) -> None:
        if not (self.deceleration > 0 and self.jerk > 0):
            raise InputError(f"Braking needs positive deceleration and jerk, got {self.deceleration} and {self.jerk}.")


_COMFORTABLE = Braking(deceleration=DECELERATION_MPS2, jerk=JERK_MPS3)
_EMERGENCY = Braking(deceleration=6.0, jerk=12.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeConfig:
    """What the envelope allows, and what it does instead."""

    inputs: InputPolicy = _INPUTS
    limits: KinematicLimits = _LIMITS
    selection: SelectionConfig = _SELECTION
    wheel_base: float = PACIFICA.wheel_base
    """Metres."""

    deadline_s: float = 0.1
    """Seconds from the beginning of a cycle; a plan that comes later is not used."""

    max_plan_age_s: float = 0.5
    """Seconds for which the last plan is driven on when there is no new one; then the vehicle stops."""

    max_path_age_s: float = 6.0
    """Seconds for which a stop follows the path of the last plan; then it follows the bend that the vehicle is in."""

    comfortable: Braking = _COMFORTABLE
    emergency: Braking = _EMERGENCY

    def __post_init__(self) -> None:
        for name in ("wheel_base", "deadline_s", "max_plan_age_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"EnvelopeConfig.{name} must be positive, got {getattr(self, name)}.")
        if not self.max_path_age_s >= self.max_plan_age_s:
            raise InputError(
                f"EnvelopeConfig.max_path_age_s must be at least max_plan_age_s ({self.max_plan_age_s}), "
                f"got {self.max_path_age_s}: a path outlives its plan."
            )


def load_envelope_config(path: Path | None = None, overrides: Sequence[str] = ()) -> EnvelopeConfig:
    """The envelope that the YAML file at ``path`` describes (None: the defaults), with ``key=value`` overrides on top.

    ``configs/vehicle/envelope.yaml`` holds every key. Raises ``InputError`` for a file that cannot be read, an unknown key, and
    values that make no sense.
    """
    return build(EnvelopeConfig, {} if path is None else load_yaml(path), overrides)
