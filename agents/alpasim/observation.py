"""What AlpaSim hands a driver becomes an ``Observation``. Values are duck-typed: nothing here imports AlpaSim.

Frames. AlpaSim's rig frame is the ego frame: rear axle on the ground, x forward, y left. Past poses come in its local frame,
as estimated by the vehicle, and are turned into that of the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local
from diffdrive.geometry.se2 import rotation
from diffdrive.scene import CameraId, DrivingCommand, EgoState, LidarSweep, Observation

from ..observation import NO_RETURNS
from .cameras import camera_frames

HISTORY_US = 2_000_000
"""Older poses are left out: a session's list grows for as long as it lasts."""


def observation_of(given: Any, cameras: Mapping[str, CameraId]) -> Observation:
    """The observation of an ``alpasim_driver`` ``PredictionInput``, with an empty sweep: AlpaSim renders no LiDAR.

    ``cameras`` says which of its images is which. Raises ``InputError`` for a missing or unusable image, an unknown command
    and numbers that are not finite.
    """
    try:
        command = DrivingCommand(int(given.command))
    except ValueError as error:
        raise InputError(f"A command is 0 (left), 1 (straight), 2 (right) or 3 (unknown), got {given.command!r}.") from error
    newest_us = max((int(frames[-1][0]) for frames in given.camera_images.values() if frames), default=0)
    return Observation(
        ego_history=ego_history(given.ego_pose_history, float(given.speed), float(given.acceleration), newest_us),
        command=command,
        cameras=camera_frames(given.camera_images, cameras),
        lidar=LidarSweep(points=NO_RETURNS),
    )


def ego_history(poses: Sequence[Any], speed: float, acceleration: float, now_us: int) -> tuple[EgoState, ...]:
    """The poses (AlpaSim's ``PoseAtTime``) of the last two seconds, the present one with ``speed`` and ``acceleration``.

    Velocities, accelerations and yaw rates of the past, and the present yaw rate, are differences of poses. Of poses with one
    timestamp the later counts. Without any, the history is the present at ``now_us``.
    """
    velocity, acceleration_now = np.array([speed, 0.0]), np.array([acceleration, 0.0])
    by_time = {int(each.timestamp_us): _planar(each.pose) for each in poses}
    times = sorted(time for time in by_time if time >= max(by_time) - HISTORY_US)
    if len(times) < 2:
        now = EgoState(
            timestamp_us=times[0] if times else now_us, pose=np.zeros(3), velocity=velocity, acceleration=acceleration_now
        )
        return (now,)
    driven = np.array([by_time[time] for time in times])
    local = to_local(driven, driven[-1])
    local[-1] = 0.0
    seconds = (np.array(times) - times[-1]) / 1e6
    over_ground = np.gradient(local[:, :2], seconds, axis=0)
    velocities = np.stack([each @ rotation(heading) for each, heading in zip(over_ground, local[:, 2], strict=True)])
    accelerations = np.gradient(velocities, seconds, axis=0)
    yaw_rates = np.gradient(np.unwrap(local[:, 2]), seconds)
    velocities[-1], accelerations[-1] = velocity, acceleration_now
    return tuple(
        EgoState(timestamp_us=time, pose=pose, velocity=moving, acceleration=changing, yaw_rate=float(turning))
        for time, pose, moving, changing, turning in zip(times, local, velocities, accelerations, yaw_rates, strict=True)
    )


def _planar(pose: Any) -> tuple[float, float, float]:
    """x, y and heading of a pose with ``vec`` (x, y, z) and ``quat`` (w, x, y, z)."""
    q = pose.quat
    heading = np.arctan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
    return float(pose.vec.x), float(pose.vec.y), float(heading)
