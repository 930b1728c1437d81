"""A plan of an earlier cycle, seen from where the vehicle is now: driven on, or braked along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local, to_world
from diffdrive.runtime.envelope.arc_path import ArcPath
from diffdrive.runtime.fallback import braking_ways
from diffdrive.scene import Trajectory

_FINE = 10
"""Points of a braking curve in an interval of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPlan:
    """What was decided, when and where."""

    trajectory: Trajectory
    """In the vehicle's frame of that time."""

    odometry_pose: np.ndarray
    """[3] of the vehicle then, in the frame that stands still."""

    stamp_us: int

    def age_s(self, now_us: int) -> float:
        """Seconds since it was made."""
        return (now_us - self.stamp_us) / 1e6

    def path(self, odometry_pose: np.ndarray) -> ArcPath:
        """Its path in the frame of a vehicle at ``odometry_pose`` [3], from where the vehicle was when it was made."""
        then = np.concatenate([np.zeros((1, 3)), self.trajectory.poses])
        return ArcPath(to_local(to_world(then, self.odometry_pose), odometry_pose))

    def departure_m(self, odometry_pose: np.ndarray) -> float:
        """Metres from a vehicle at ``odometry_pose`` [3] to the nearest point of the path."""
        path = self.path(odometry_pose)
        return float(np.hypot(*path.at(_way_beside_vehicle(path))[:2]))


def retimed(past: PastPlan, odometry_pose: np.ndarray, now_us: int) -> Trajectory:
    """``past`` as if it had been made now: the poses that it has for later times, then braking along the way it went.

    Raises ``InputError`` for a plan from the future.
    """
    interval_s = past.trajectory.interval_s
    fine_s, count = interval_s / _FINE, _FINE * past.trajectory.num_poses
    return _later(past, odometry_pose, now_us, lambda speed: braking_ways(speed, 0.0, count, fine_s), fine_s)


def driven_on(past: PastPlan, odometry_pose: np.ndarray, now_us: int) -> Trajectory:
    """``past`` as if it had been made now: the poses that it has for later times, then with its last speed and yaw rate.

    Raises ``InputError`` for a plan from the future.
    """
    interval_s = past.trajectory.interval_s
    steps = interval_s * np.arange(1, past.trajectory.num_poses + 1)
    return _later(past, odometry_pose, now_us, lambda speed: speed * steps, interval_s)


def _later(
    past: PastPlan,
    odometry_pose: np.ndarray,
    now_us: int,
    beyond: Callable[[float], np.ndarray],
    beyond_s: float,
) -> Trajectory:
    """``beyond`` makes of the last speed (m/s) the metres [N] that follow the plan's end, one every ``beyond_s``."""
    age_s = past.age_s(now_us)
    if age_s < 0:
        raise InputError(f"The plan to carry over is {-age_s:.3f} s ahead of the clock. Give the clock of the plans.")
    path, plan = past.path(odometry_pose), past.trajectory
    more = beyond(float(path.ways[-1] - path.ways[-2]) / plan.interval_s)
    known_s = np.concatenate([[0.0], plan.times_s, plan.horizon_s + beyond_s * np.arange(1, len(more) + 1)])
    known_ways = np.concatenate([path.ways, path.length + more])
    return Trajectory(path.at(np.interp(age_s + plan.times_s, known_s, known_ways)), interval_s=plan.interval_s)


def stop_along(
    past: PastPlan, odometry_pose: np.ndarray, speed: float, acceleration: float, *, deceleration: float, jerk: float
) -> Trajectory:
    """Brake to a standstill on the path of ``past``, from its point beside the vehicle on.

    ``speed`` (m/s) and ``acceleration`` (m/s^2) are the present ones, ``deceleration`` (m/s^2) and ``jerk`` (m/s^3) positive.
    """
    path, plan = past.path(odometry_pose), past.trajectory
    ways = braking_ways(max(speed, 0.0), acceleration, plan.num_poses, plan.interval_s, deceleration=deceleration, jerk=jerk)
    return Trajectory(path.at(_way_beside_vehicle(path) + ways), interval_s=plan.interval_s)


def _way_beside_vehicle(path: ArcPath) -> float:
    """Metres along ``path`` to its point nearest to the origin."""
    ways = np.linspace(0.0, path.length, 201)
    return float(ways[np.hypot(*path.at(ways)[:, :2].T).argmin()])
