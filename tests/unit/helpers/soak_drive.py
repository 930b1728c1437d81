"""A drive made by hand for soaks: straight on at 8 m/s, gently to the left from the second half on; and planners for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdrive.runtime import Plan
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation
from diffdrive.simulation.soak.drive import FRAME_US, Drive, DriveFrame, Shot
from diffdrive.simulation.soak.faults import FaultKind
from diffdrive.simulation.soak.sabotage import ArcsEngine, SabotagedPlanner

SPEED = 8.0
RATE = 0.12


def drive(num_frames: int = 80) -> Drive:
    rng = np.random.default_rng(0)
    cameras = {
        camera: CameraFrame(
            image=rng.integers(0, 256, (270, 480, 3), dtype=np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4)
        )
        for camera in (CameraId.L0, CameraId.F0, CameraId.R0)
    }
    shot = Shot(cameras=cameras, lidar=LidarSweep(points=rng.normal(0, 9, (400, 3)).astype(np.float32)))
    pose, frames = np.zeros(3), []
    for frame in range(num_frames):
        rate = RATE if frame >= num_frames // 2 else 0.0
        frames.append(DriveFrame(history=history(frame, rate), pose=pose, command=DrivingCommand.STRAIGHT, shot=0))
        middle = pose[2] + rate * 0.05
        pose = pose + [SPEED * 0.1 * np.cos(middle), SPEED * 0.1 * np.sin(middle), rate * 0.1]
    return Drive(frames=frames, shots=[shot], num_logs=1)


def history(frame: int, rate: float) -> tuple[EgoState, ...]:
    return tuple(
        EgoState(
            timestamp_us=(frame - back) * FRAME_US,
            pose=np.array([-SPEED * 0.1 * back, 0.0, 0.0]),
            velocity=np.array([SPEED, 0.0]),
            acceleration=np.zeros(2),
            yaw_rate=rate,
        )
        for back in (5, 0)
    )


class InThisProcess:
    """In place of a ``ChildPlanner``: as quick, and not to be killed."""

    num_starts = 1
    resident_bytes = None

    def __init__(self) -> None:
        self.fault: FaultKind | None = None
        self._planner = SabotagedPlanner(ArcsEngine(), slow_s=0.05)

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        return self._planner.plan(observation, noise, self.fault)

    def start(self) -> Any:
        return None

    def kill(self) -> None:
        pass
