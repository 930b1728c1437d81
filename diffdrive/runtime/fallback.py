"""The trajectory when the network cannot answer: brake gently to a stop along the current heading."""

from __future__ import annotations

import numpy as np

from diffdrive.scene import EgoState, Trajectory

DECELERATION_MPS2 = 2.0
"""Half of what passengers call uncomfortable in the nuPlan metrics (4.05 m/s^2)."""

JERK_MPS3 = 2.0
"""How fast the braking builds up, likewise half of the comfort bound (4.13 m/s^3)."""

_STEP_S = 0.01


def comfortable_stop(ego: EgoState, num_poses: int, interval_s: float) -> Trajectory:
    """Roll straight ahead, or straight back when reversing, and brake to a standstill.

    The braking builds up from the present braking, if any. A car that stands stays where it is. This is no evasive
    manoeuvre: it knows neither the road nor other road users.
    """
    direction = 1.0 if ego.velocity[0] >= 0 else -1.0
    poses = np.zeros((num_poses, 3))
    poses[:, 0] = direction * braking_ways(
        abs(float(ego.velocity[0])), direction * float(ego.acceleration[0]), num_poses, interval_s
    )
    return Trajectory(poses, interval_s=interval_s)


def braking_ways(
    speed: float,
    acceleration: float,
    num_poses: int,
    interval_s: float,
    *,
    deceleration: float = DECELERATION_MPS2,
    jerk: float = JERK_MPS3,
) -> np.ndarray:
    """[T] metres driven until 1, 2, ... intervals from now while braking to a standstill.

    ``speed`` (m/s) is not negative. The braking builds up with ``jerk`` (m/s^3) from the present braking, if any
    (``acceleration``, m/s^2), to ``deceleration`` (m/s^2, positive).
    """
    acceleration = max(min(acceleration, 0.0), -deceleration)
    steps_per_pose = max(1, round(interval_s / _STEP_S))
    step_s = interval_s / steps_per_pose
    travelled, distance = np.zeros(num_poses), 0.0
    for step in range(1, num_poses * steps_per_pose + 1):
        next_acceleration = max(acceleration - jerk * step_s, -deceleration)
        next_speed = max(speed + (acceleration + next_acceleration) / 2 * step_s, 0.0)
        distance += (speed + next_speed) / 2 * step_s
        speed, acceleration = next_speed, next_acceleration
        if step % steps_per_pose == 0:
            travelled[step // steps_per_pose - 1] = distance
    return travelled
