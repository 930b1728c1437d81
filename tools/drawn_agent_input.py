"""Agent inputs that anyone can draw again: raw sensor data as NAVSIM hands them to an agent, from nothing but a word."""

from __future__ import annotations

import zlib
from types import SimpleNamespace
from typing import cast

import numpy as np
from parity_features import raw_observation

from diffdrive.scene import CameraId, DrivingCommand, LidarSweep

HISTORY = 4
"""Frames of the ego, half a second apart."""


def drawn_agent_input(salt: str) -> SimpleNamespace:
    """What an ``AgentInput`` of the devkit holds for an agent of the present's three front cameras and sweep.

    Images and points are those of ``raw_observation``; the car's motion and the command are drawn too.
    """
    observation = raw_observation(salt)
    rng = np.random.default_rng(zlib.crc32(f"{salt}:motion".encode()))
    speed, turn = rng.uniform(0, 14), rng.uniform(-0.3, 0.3)
    command = np.eye(len(DrivingCommand), dtype=np.int64)[rng.integers(len(DrivingCommand))]
    statuses = [
        SimpleNamespace(
            ego_pose=np.array([-speed * 0.5 * frame, turn * frame**2, -turn * frame], np.float32),
            ego_velocity=np.array([speed, rng.normal(0, 0.1)], np.float32),
            ego_acceleration=rng.normal(0, 1, 2).astype(np.float32),
            driving_command=command,
            in_global_frame=False,
        )
        for frame in reversed(range(HISTORY))
    ]
    images = {camera: observation.cameras[camera].image for camera in observation.cameras}
    cameras = {f"cam_{camera.value}": _camera(images.get(camera)) for camera in CameraId}
    points = cast(LidarSweep, observation.lidar).points.T
    sweep = np.concatenate([points, np.zeros((3, points.shape[1]), np.float32)])
    empty = SimpleNamespace(**{name: _camera(None) for name in cameras})
    return SimpleNamespace(
        ego_statuses=statuses,
        cameras=[*[empty] * (HISTORY - 1), SimpleNamespace(**cameras)],
        lidars=[
            *[SimpleNamespace(lidar_pc=None, lidar_path=None)] * (HISTORY - 1),
            SimpleNamespace(lidar_pc=sweep, lidar_path=None),
        ],
    )


def _camera(image: np.ndarray | None) -> SimpleNamespace:
    known = image is not None
    return SimpleNamespace(
        image=image,
        sensor2lidar_rotation=np.eye(3) if known else None,
        sensor2lidar_translation=np.zeros(3) if known else None,
        intrinsics=np.eye(3) if known else None,
        distortion=np.zeros(5) if known else None,
        camera_path=None,
    )
