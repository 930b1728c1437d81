"""NAVSIM's agent input becomes an ``Observation``. Values are duck-typed: nothing here imports the devkit.

The LiDAR frame stands for the ego frame, as it does in NAVSIM. There are no times in an agent input: frames are half a second
apart by definition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation

FRAME_INTERVAL_US = 500_000

NO_RETURNS = np.array([[0.0, 0.0, -1000.0]], dtype=np.float32)
"""[1, 3] a sweep of which nothing counts: its one point lies below every height that the network sees."""

LIDAR_ROWS = 6
"""Of a sweep: x, y, z, intensity, ring and sensor. Checked, because a transposed sweep would give points too."""


def observation_of(agent_input: Any, *, use_lidar: bool = True) -> Observation:
    """The observation of a ``navsim.common.dataclasses.AgentInput``: the whole history of the ego, the sensors of now.

    Without ``use_lidar`` whatever sweep there is is not looked at; an empty one (``NO_RETURNS``) stands in its place.

    Cameras without an image (not asked for) are left out, and so is a sweep that is not there. Raises ``InputError`` for an
    empty input, values of other shapes, and several commands at once.
    """
    statuses = list(agent_input.ego_statuses)
    if not statuses:
        raise InputError("The agent input holds no ego status. Load scenes with num_history_frames of at least 1.")
    return Observation(
        ego_history=tuple(
            ego_state(status, (index + 1 - len(statuses)) * FRAME_INTERVAL_US) for index, status in enumerate(statuses)
        ),
        command=DrivingCommand.from_one_hot(statuses[-1].driving_command),
        cameras=_cameras(agent_input.cameras[-1]) if agent_input.cameras else {},
        lidar=_lidar(agent_input) if use_lidar else LidarSweep(points=NO_RETURNS),
    )


def ego_state(status: Any, timestamp_us: int) -> EgoState:
    """One ``EgoStatus``, whose pose must be in the ego frame of the present."""
    return EgoState(
        timestamp_us=timestamp_us,
        pose=np.asarray(status.ego_pose, dtype=np.float64),
        velocity=np.asarray(status.ego_velocity, dtype=np.float64),
        acceleration=np.asarray(status.ego_acceleration, dtype=np.float64),
    )


def _cameras(cameras: Any) -> dict[CameraId, CameraFrame]:
    frames = {}
    for camera_id in CameraId:
        name = f"cam_{camera_id.value}"
        camera = getattr(cameras, name)
        if camera.image is None:
            continue
        try:
            frames[camera_id] = CameraFrame(
                image=np.asarray(camera.image),
                intrinsics=camera.intrinsics,
                ego_from_camera=_pose(camera.sensor2lidar_rotation, camera.sensor2lidar_translation),
            )
        except (InputError, TypeError, ValueError) as error:
            raise InputError(f"Camera {name} ({getattr(camera, 'camera_path', None) or 'path unknown'}): {error}") from error
    return frames


def _pose(rotation: Any, translation: Any) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = np.asarray(rotation, dtype=np.float64)
    pose[:3, 3] = np.asarray(translation, dtype=np.float64)
    return pose


def _lidar(agent_input: Any) -> LidarSweep | None:
    lidar = agent_input.lidars[-1] if agent_input.lidars else None
    if lidar is None or lidar.lidar_pc is None:
        return None
    points = np.asarray(lidar.lidar_pc)
    if points.ndim != 2 or len(points) != LIDAR_ROWS:
        raise InputError(
            f"lidar_pc must be an array [{LIDAR_ROWS}, N] whose first rows are x, y and z, got shape {list(points.shape)}."
        )
    return LidarSweep(points=points[:3].T)
