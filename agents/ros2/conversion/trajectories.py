"""Plans as autoware_planning_msgs/Trajectory and autoware_internal_planning_msgs/CandidateTrajectories.

| field of a point | unit | what |
|---|---|---|
| time_from_start | s | since the header's stamp, the time of the cycle; the first point is the present |
| pose | m | of the rear axle on the ground in the odometry's frame, at the height that the vehicle has now, upright |
| longitudinal_velocity_mps | m/s | forward, negative backwards |
| lateral_velocity_mps | m/s | 0: wheels roll |
| acceleration_mps2 | m/s^2 | change of the longitudinal velocity |
| heading_rate_rps | rad/s | to the left positive |
| front_wheel_angle_rad | rad | of a bicycle with the vehicle's wheel base, to the left positive |
| rear_wheel_angle_rad | rad | 0: the rear wheels do not steer |
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.geometry import to_world, wrap_angle
from diffdrive.runtime.envelope import Motion
from diffdrive.runtime.envelope.arc_path import arc_step, arcs_between
from diffdrive.scene import EgoState, Trajectory

from .making import MakesMessages, duration_message, header_message

GENERATOR = "diffdrive"
_GENERATOR_ID = np.frombuffer(uuid.uuid5(uuid.NAMESPACE_DNS, "diffdrive").bytes, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the vehicle stands, and when."""

    frame_id: str
    """A frame that stands still."""

    pose: np.ndarray
    """[3] x, y (metres), heading (radians) of the rear axle in it."""

    height: float
    """z of the rear axle's place on the ground in it, metres."""

    stamp_us: int
    """Of the cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedPoints:
    """A plan with the motion along it, in the ego frame. Arrays [K] unless said otherwise; the first entry is the present."""

    times_s: np.ndarray
    poses: np.ndarray
    """[K, 3] metres, radians."""

    speeds: np.ndarray
    """m/s."""

    accelerations: np.ndarray
    """m/s^2."""

    curvatures: np.ndarray
    """1/m, to the left positive."""

    @classmethod
    def of(cls, plan: Trajectory, present: EgoState, wheel_base: float, points_per_pose: int) -> TimedPoints:
        """``points_per_pose`` points for each pose of ``plan``, along arcs between its poses, which are kept exactly.

        Speeds are those of the intervals between poses in the middle of each, the present one at the beginning, and change
        evenly between; after the last middle they stay.
        """
        path = np.concatenate([np.zeros((1, 3)), plan.poses])
        lengths, turns, slips = arcs_between(path)
        motion = Motion.through(
            plan.poses,
            plan.interval_s,
            speed=float(present.velocity[0]),
            acceleration=float(present.acceleration[0]),
            yaw_rate=present.yaw_rate,
            wheel_base=wheel_base,
        )
        steps = np.arange(plan.num_poses * points_per_pose + 1)
        times_s = steps * (plan.interval_s / points_per_pose)
        piece = np.minimum(steps // points_per_pose, plan.num_poses - 1)
        share = steps / points_per_pose - piece
        x, y = arc_step(share * lengths[piece], share * turns[piece], path[piece, 2])
        middle = path[piece, 2] + turns[piece] / 2
        slid = share * slips[piece]
        poses = np.stack(
            [
                path[piece, 0] + x - slid * np.sin(middle),
                path[piece, 1] + y + slid * np.cos(middle),
                wrap_angle(path[piece, 2] + share * turns[piece]),
            ],
            axis=-1,
        )
        poses[::points_per_pose] = path
        known_s = np.concatenate([[0.0], (np.arange(plan.num_poses) + 0.5) * plan.interval_s])
        speeds = np.concatenate([[float(present.velocity[0])], motion.speeds])
        until = np.searchsorted(known_s[1:], times_s, side="left")
        return cls(
            times_s=times_s,
            poses=poses,
            speeds=np.interp(times_s, known_s, speeds),
            accelerations=np.concatenate([motion.accelerations, [0.0]])[until],
            curvatures=motion.curvatures[piece],
        )


def trajectory_message(make: MakesMessages, points: TimedPoints, place: Place, wheel_base: float) -> Any:
    """An autoware_planning_msgs/Trajectory in the frame of ``place``; ``wheel_base`` is in metres."""
    return make(
        "autoware_planning_msgs/msg/Trajectory",
        header=header_message(make, place.stamp_us, place.frame_id),
        points=_points(make, points, place, wheel_base),
    )


def candidates_message(make: MakesMessages, candidates: list[TimedPoints], place: Place, wheel_base: float) -> Any:
    """An autoware_internal_planning_msgs/CandidateTrajectories of proposals, in the order given, all of one generator."""
    identifier = make("unique_identifier_msgs/msg/UUID", uuid=_GENERATOR_ID)
    return make(
        "autoware_internal_planning_msgs/msg/CandidateTrajectories",
        candidate_trajectories=[
            make(
                "autoware_internal_planning_msgs/msg/CandidateTrajectory",
                header=header_message(make, place.stamp_us, place.frame_id),
                generator_id=identifier,
                points=_points(make, each, place, wheel_base),
            )
            for each in candidates
        ],
        generator_info=[
            make(
                "autoware_internal_planning_msgs/msg/GeneratorInfo",
                generator_id=identifier,
                generator_name=make("std_msgs/msg/String", data=GENERATOR),
            )
        ],
    )


def pose_message(make: MakesMessages, pose: np.ndarray, height: float) -> Any:
    """A geometry_msgs/Pose on the ground, upright."""
    x, y, heading = (float(value) for value in pose)
    return make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", x=x, y=y, z=height),
        orientation=make("geometry_msgs/msg/Quaternion", z=float(np.sin(heading / 2)), w=float(np.cos(heading / 2))),
    )


def _points(make: MakesMessages, points: TimedPoints, place: Place, wheel_base: float) -> list[Any]:
    poses = to_world(points.poses, place.pose)
    rates, wheels = points.speeds * points.curvatures, np.arctan(wheel_base * points.curvatures)
    return [
        make(
            "autoware_planning_msgs/msg/TrajectoryPoint",
            time_from_start=duration_message(make, float(points.times_s[index])),
            pose=pose_message(make, poses[index], place.height),
            longitudinal_velocity_mps=float(points.speeds[index]),
            acceleration_mps2=float(points.accelerations[index]),
            heading_rate_rps=float(rates[index]),
            front_wheel_angle_rad=float(wheels[index]),
        )
        for index in range(len(poses))
    ]
