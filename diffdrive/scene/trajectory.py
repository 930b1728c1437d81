"""A trajectory: where the rear axle shall be, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array

# Intervals this close are equal: recorded clocks jitter by less.
_INTERVAL_TOLERANCE_S = 1e-3


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Future rear-axle poses in the ego frame at t = 0, evenly spaced in time; the pose at t = 0 itself is not included."""

    poses: np.ndarray
    """[T, 3] x, y (metres), heading (radians) at interval_s, 2 interval_s, ..."""

    interval_s: float = 0.5

    def __post_init__(self) -> None:
        poses = frozen_array(self.poses, np.float64)
        Axes("Trajectory").check("poses", poses, "T 3", finite=True)
        if len(poses) == 0 or not self.interval_s > 0:
            raise InputError(
                f"Trajectory needs at least one pose and a positive interval, got {len(poses)} poses every {self.interval_s} s."
            )
        object.__setattr__(self, "poses", poses)

    @property
    def num_poses(self) -> int:
        return len(self.poses)

    @property
    def horizon_s(self) -> float:
        """Time of the last pose, seconds."""
        return self.num_poses * self.interval_s

    @property
    def times_s(self) -> np.ndarray:
        """Time of each pose [T], seconds."""
        return np.arange(1, self.num_poses + 1) * self.interval_s

    def thinned(self, num_poses: int, interval_s: float) -> Trajectory:
        """The first ``num_poses`` poses at a multiple of this interval.

        Raises ``InputError`` where ``interval_s`` is no multiple of this interval, or the trajectory ends too soon.
        """
        step = round(interval_s / self.interval_s)
        if step < 1 or abs(step * self.interval_s - interval_s) > _INTERVAL_TOLERANCE_S:
            raise InputError(
                f"A trajectory with a pose every {self.interval_s:g} s has none every {interval_s:g} s. "
                f"Load it with an interval of {interval_s:g} s."
            )
        poses = self.poses[step - 1 :: step][:num_poses]
        if len(poses) < num_poses:
            raise InputError(
                f"A trajectory of {self.horizon_s:g} s does not reach {num_poses * interval_s:g} s "
                f"({num_poses} poses every {interval_s:g} s). Load a longer one."
            )
        return Trajectory(poses, interval_s)
