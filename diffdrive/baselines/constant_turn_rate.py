"""Drive on as now, along the arc that the car is on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffdrive.baselines.constant_velocity import signed_speed
from diffdrive.contracts import InputError
from diffdrive.geometry import wrap_angle
from diffdrive.scene import Observation, Trajectory
from diffdrive.tensors import TargetLayout

# Below this speed the curvature is that of this speed: a heading that jitters at a standstill is no turn.
_MIN_SPEED_MPS = 0.5


@dataclass(frozen=True, slots=True)
class ConstantTurnRate:
    """A circular arc at the present speed, of the curvature that the last two recorded poses show."""

    layout: TargetLayout = field(default_factory=TargetLayout)
    name: str = "constant turn rate"

    def plan(self, observation: Observation) -> Trajectory:
        """``num_poses`` poses every ``interval_s``. Raises ``InputError`` where only the present pose is known."""
        speed = signed_speed(observation)
        curvature = yaw_rate(observation) / np.copysign(max(abs(speed), _MIN_SPEED_MPS), speed)
        times = np.arange(1, self.layout.num_poses + 1) * self.layout.interval_s
        arc = speed * times
        turn = curvature * arc
        # sinc is exact where the arc is straight; dividing by the curvature is not.
        chord = arc * np.sinc(turn / (2 * np.pi))
        poses = np.stack([chord * np.cos(turn / 2), chord * np.sin(turn / 2), wrap_angle(turn)], axis=1)
        return Trajectory(poses, self.layout.interval_s)


def yaw_rate(observation: Observation) -> float:
    """Heading change between the last two states over the time between them, rad/s, left positive."""
    if len(observation.ego_history) < 2:
        raise InputError(
            "A turn rate needs two recorded poses, and the observation holds the present one alone. "
            "Load the scene with history (for example 0.5 s)."
        )
    before, now = observation.ego_history[-2:]
    elapsed = (now.timestamp_us - before.timestamp_us) * 1e-6
    return float(wrap_angle(now.pose[2] - before.pose[2])) / elapsed
