"""What a vehicle at 5 m/s delivers in a cycle, small and made of numbers that are easy to check."""

from __future__ import annotations

import numpy as np

from diffdrive.runtime.envelope import (
    EgoMotion,
    InputPolicy,
    Reading,
    VehicleInputs,
    camera_reading,
    lidar_reading,
    motion_reading,
)
from diffdrive.scene import CameraFrame, DrivingCommand, EgoState, LidarSweep

POLICY = InputPolicy()
CYCLE_US = 100_000


def camera(stamp_us: int, content: int) -> Reading[CameraFrame]:
    image = np.full((6, 8, 3), content % 251, dtype=np.uint8)
    return camera_reading(lambda: CameraFrame(image=image, intrinsics=np.eye(3), ego_from_camera=np.eye(4)), stamp_us)


def lidar(stamp_us: int, content: float) -> Reading[LidarSweep]:
    return lidar_reading(lambda: LidarSweep(points=np.full((5, 3), content, dtype=np.float32)), stamp_us)


def motion(stamp_us: int, *, driven_us: int | None = None, speed: float = 5.0) -> Reading[EgoMotion]:
    """The odometry says where the vehicle was at ``driven_us``; None: at the stamp."""
    pose = np.array([(stamp_us if driven_us is None else driven_us) / 1e6 * 5.0, 0.0, 0.0])
    state = EgoState(timestamp_us=stamp_us, pose=np.zeros(3), velocity=np.array([speed, 0.0]), acceleration=np.zeros(2))
    return motion_reading(lambda: EgoMotion(history=(state,), odometry_pose=pose), stamp_us)


def everything(now_us: int, content: int | None = None) -> VehicleInputs:
    changing = now_us // CYCLE_US if content is None else content
    return VehicleInputs(
        cameras={each: camera(now_us - 20_000, changing) for each in POLICY.cameras},
        lidar=lidar(now_us - 30_000, float(changing)),
        motion=motion(now_us),
        command=Reading.of(lambda: DrivingCommand.LEFT, now_us),
    )
