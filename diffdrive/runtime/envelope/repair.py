"""Bend a plan to what the vehicle can do: follow it with a bicycle whose controls are held inside the limits.

What comes out was driven by the model, so it is feasible whatever went in; how near it stays to the plan depends on the plan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffdrive.runtime.envelope.arc_path import ArcPath, arc_step
from diffdrive.runtime.envelope.feasibility import KinematicLimits
from diffdrive.runtime.envelope.motion import CRAWL_MPS
from diffdrive.scene import EgoState, Trajectory

_STEP_S = 0.05
_SHARE = 0.8
"""Of a limit is used: read again from poses half a second apart, values look a little higher than they were."""

_RATE_SHARE = 0.5
"""Likewise of limits of rates."""

_PREVIEW_S = 0.3
"""The speed that the plan has so much later is reached by then."""

_WAY_GAIN = 1.0
"""1/s: speed for each metre that is missing."""

_LOOK_AHEAD_S = 0.6
_LEAST_LOOK_AHEAD_M = 2.0


@dataclass(slots=True)
class _Car:
    """The bicycle's state in the frame of t = 0."""

    x: float
    y: float
    heading: float
    speed: float
    acceleration: float
    steering: float


def repaired(plan: Trajectory, ego: EgoState, wheel_base: float, limits: KinematicLimits) -> Trajectory:
    """The poses of a bicycle (``wheel_base`` metres) that follows ``plan`` from the present motion, never backwards."""
    path = ArcPath(np.concatenate([np.zeros((1, 3)), plan.poses]))
    times_s = np.concatenate([[0.0], plan.times_s])
    speeds = np.concatenate([[float(ego.velocity[0])], np.diff(path.ways) / plan.interval_s])
    speeds_s = np.concatenate([[0.0], plan.times_s - plan.interval_s / 2])
    speed = max(float(ego.velocity[0]), 0.0)
    steering = math.atan(wheel_base * ego.yaw_rate / speed) if speed >= CRAWL_MPS else 0.0
    car = _Car(0.0, 0.0, 0.0, speed, float(ego.acceleration[0]), steering)
    steps_per_pose = max(1, round(plan.interval_s / _STEP_S))
    step_s = plan.interval_s / steps_per_pose
    # m/s^3 aside, with which the first pose is not farther from the present arc than a start may be: it counts above 15 m/s.
    most_pull = 6 * _SHARE * limits.max_start_offset / plan.interval_s**3
    poses, beside = np.zeros_like(plan.poses), 0.0
    for step in range(1, plan.num_poses * steps_per_pose + 1):
        now_s = (step - 1) * step_s
        missing_m = float(np.interp(now_s, times_s, path.ways)) - beside
        wanted = float(np.interp(now_s + _PREVIEW_S, speeds_s, speeds)) + _WAY_GAIN * missing_m
        _accelerate(car, wanted, step_s, wheel_base, limits)
        _steer(car, path, beside, step_s, wheel_base, limits, most_pull)
        beside += _roll(car, step_s, wheel_base)
        if step % steps_per_pose == 0:
            poses[step // steps_per_pose - 1] = (car.x, car.y, math.remainder(car.heading, 2 * math.pi))
    return Trajectory(poses, interval_s=plan.interval_s)


def _accelerate(car: _Car, wanted: float, step_s: float, wheel_base: float, limits: KinematicLimits) -> None:
    curvature = abs(math.tan(car.steering)) / wheel_base
    bend_speed = math.sqrt(_SHARE * limits.max_lateral_acceleration / curvature) if curvature > 1e-6 else math.inf
    command = (min(max(wanted, 0.0), bend_speed) - car.speed) / _PREVIEW_S
    command = min(max(command, -_SHARE * limits.max_braking), _SHARE * limits.max_acceleration)
    change = _RATE_SHARE * limits.max_jerk * step_s
    car.acceleration = min(max(command, car.acceleration - change), car.acceleration + change)


def _steer(
    car: _Car, path: ArcPath, beside: float, step_s: float, wheel_base: float, limits: KinematicLimits, most_pull: float
) -> None:
    """Turn the wheels towards the arc through a point ahead on the path."""
    ahead = path.at(beside + max(_LOOK_AHEAD_S * car.speed, _LEAST_LOOK_AHEAD_M))
    east, north = float(ahead[0]) - car.x, float(ahead[1]) - car.y
    aside = north * math.cos(car.heading) - east * math.sin(car.heading)
    curvature = 2.0 * aside / max(east**2 + north**2, 1.0)
    bound = _SHARE * min(limits.max_curvature, limits.max_lateral_acceleration / max(car.speed, 0.1) ** 2)
    command = math.atan(wheel_base * min(max(curvature, -bound), bound))
    change = min(_RATE_SHARE * limits.max_steering_rate, most_pull * wheel_base / max(car.speed, 1.0) ** 2) * step_s
    car.steering = min(max(command, car.steering - change), car.steering + change)


def _roll(car: _Car, step_s: float, wheel_base: float) -> float:
    """Drive one step along an arc; returns the metres driven."""
    speed = max(car.speed + car.acceleration * step_s, 0.0)
    way = (car.speed + speed) / 2 * step_s
    turn = way * math.tan(car.steering) / wheel_base
    x, y = arc_step(way, turn, car.heading)
    car.x, car.y, car.heading = car.x + float(x), car.y + float(y), car.heading + turn
    if speed == 0.0:
        car.acceleration = max(car.acceleration, 0.0)
    car.speed = speed
    return way
