"""Which proposals a vehicle can drive: each is held against limits of bending, acceleration, jerk, steering and continuity."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope.arc_path import arc_step
from diffdrive.runtime.envelope.motion import Motion
from diffdrive.scene import EgoState


class Violation(enum.Enum):
    """What a proposal asks that the vehicle cannot do. Every value is a sentence."""

    CURVATURE = "It bends more tightly than the vehicle can turn."
    LATERAL_ACCELERATION = "It is too fast for its bends."
    ACCELERATION = "It speeds up faster than the vehicle can."
    BRAKING = "It brakes harder than the vehicle can."
    JERK = "It changes its acceleration faster than the vehicle can."
    STEERING_RATE = "It turns the wheels faster than the vehicle can."
    REVERSE = "It drives backwards."
    SLIP = "It moves sideways."
    START = "It does not begin where the vehicle will be."


@dataclass(frozen=True, slots=True, kw_only=True)
class KinematicLimits:
    """What the vehicle can do. A value on its limit is allowed.

    The defaults are those of a passenger car on a dry road, well outside of what is comfortable: a plan that breaks them cannot
    be driven, one that keeps them need not be pleasant.
    """

    max_curvature: float = 0.21
    """1/m: the turning circle of the vehicle, about its rear axle."""

    max_lateral_acceleration: float = 7.0
    """m/s^2."""

    max_acceleration: float = 5.0
    """m/s^2."""

    max_braking: float = 9.0
    """m/s^2."""

    max_jerk: float = 30.0
    """m/s^3, along the vehicle's axis; of poses half a second apart, whose accelerations are coarse."""

    max_steering_rate: float = 1.0
    """rad/s of the front wheels."""

    max_reverse: float = 0.3
    """m/s backwards: jitter of a plan that stands still."""

    max_slip: float = 0.35
    """Metres sideways within one interval."""

    max_start_offset: float = 1.0
    """Metres aside of where the first pose would be if the vehicle kept its speed and yaw rate."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise InputError(f"KinematicLimits.{field.name} must be positive, got {getattr(self, field.name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """How far M proposals are from the limits."""

    usage: np.ndarray
    """[M, V] the largest share of each limit that a proposal uses, in the order of ``Violation``: above 1 breaks it."""

    @property
    def is_feasible(self) -> np.ndarray:
        """[M] whether a proposal keeps all limits."""
        return np.asarray((self.usage <= 1.0).all(axis=1))

    def violations(self, mode: int) -> tuple[Violation, ...]:
        """The limits that proposal ``mode`` breaks, worst first."""
        order = np.argsort(-self.usage[mode], kind="stable")
        kinds = tuple(Violation)
        return tuple(kinds[i] for i in order if self.usage[mode, i] > 1.0)


def check_proposals(
    proposals: np.ndarray, interval_s: float, ego: EgoState, wheel_base: float, limits: KinematicLimits
) -> Feasibility:
    """Hold rear-axle poses [M, T, 3] (ego frame at t = 0, ``interval_s`` seconds apart) against ``limits``.

    ``wheel_base`` in metres. Raises ``InputError`` for other shapes and values that are not finite.
    """
    motion = Motion.through(
        proposals,
        interval_s,
        speed=float(ego.velocity[0]),
        acceleration=float(ego.acceleration[0]),
        yaw_rate=ego.yaw_rate,
        wheel_base=wheel_base,
    )
    shares = {
        Violation.CURVATURE: np.abs(motion.curvatures) / limits.max_curvature,
        Violation.LATERAL_ACCELERATION: np.abs(motion.lateral_accelerations) / limits.max_lateral_acceleration,
        Violation.ACCELERATION: motion.accelerations / limits.max_acceleration,
        Violation.BRAKING: -motion.accelerations / limits.max_braking,
        Violation.JERK: np.abs(motion.jerks) / limits.max_jerk,
        Violation.STEERING_RATE: np.abs(motion.steering_rates) / limits.max_steering_rate,
        Violation.REVERSE: -motion.speeds / limits.max_reverse,
        Violation.SLIP: np.abs(motion.slips) / limits.max_slip,
        Violation.START: _start_offsets(proposals, interval_s, ego)[:, None] / limits.max_start_offset,
    }
    return Feasibility(usage=np.stack([shares[kind].max(axis=1) for kind in Violation], axis=1))


def _start_offsets(proposals: np.ndarray, interval_s: float, ego: EgoState) -> np.ndarray:
    """[M] metres by which the first pose lies aside of the arc that speed and yaw rate lead along."""
    turn = ego.yaw_rate * interval_s
    kept = np.array(arc_step(float(ego.velocity[0]) * interval_s, turn))
    aside = np.array([-np.sin(turn), np.cos(turn)])
    return np.asarray(np.abs((proposals[:, 0, :2] - kept) @ aside))
