"""Drive on as now, straight ahead."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diffdrive.scene import Observation, Trajectory
from diffdrive.tensors import TargetLayout


@dataclass(frozen=True, slots=True)
class ConstantVelocity:
    """Straight along the present heading at the present speed (backwards if the car reverses), as NAVSIM's baseline."""

    layout: TargetLayout = field(default_factory=TargetLayout)
    name: str = "constant velocity"

    def plan(self, observation: Observation) -> Trajectory:
        """``num_poses`` poses every ``interval_s``; heading stays zero."""
        times = np.arange(1, self.layout.num_poses + 1) * self.layout.interval_s
        poses = np.zeros((self.layout.num_poses, 3))
        poses[:, 0] = signed_speed(observation) * times
        return Trajectory(poses, self.layout.interval_s)


def signed_speed(observation: Observation) -> float:
    """Present speed, m/s; negative in reverse."""
    return float(np.copysign(observation.ego.speed, observation.ego.velocity[0]))
