"""Observations for the tests of the network's inputs, and the same inputs computed slowly and plainly."""

from __future__ import annotations

import numpy as np

from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation
from diffdrive.tensors import InputLayout

FRONT = (CameraId.L0, CameraId.F0, CameraId.R0)
BASE = InputLayout()
NANO = InputLayout(camera_height=64, camera_width=256, lidar_pixels=64)
ROUNDED_EDGES = InputLayout(camera_height=32, camera_width=128, lidar_pixels=96, lidar_range_m=31.7, lidar_max_count=50)
WIDE_CELLS = InputLayout(camera_height=32, camera_width=128, lidar_pixels=32, lidar_range_m=64.0)


def frame(image: np.ndarray) -> CameraFrame:
    return CameraFrame(image=image, intrinsics=np.eye(3), ego_from_camera=np.eye(4))


def noise_images(rows: int, columns: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (rows, columns, 3), np.uint8) for _ in FRONT]


def some_points(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(0, 18, (count, 2)), rng.uniform(-1, 3, count)]).astype(np.float32)


def observe(images: list[np.ndarray], points: np.ndarray) -> Observation:
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.array([5.0, 0.25]), acceleration=np.array([-0.5, 0.125]))
    return Observation(
        ego_history=(ego,),
        command=DrivingCommand.RIGHT,
        cameras={camera: frame(image) for camera, image in zip(FRONT, images, strict=True)},
        lidar=LidarSweep(points=points),
    )


def edge_points(layout: InputLayout) -> np.ndarray:
    """[N, 3] float32: on every edge and beside it, at the outer edges, around zero, at both heights, far away."""
    reach = layout.lidar_range_m
    edges = np.linspace(-reach, reach, layout.lidar_pixels + 1)
    special = [0.0, -0.0, -1e-30, 1e-30, -1e-45, 1e-45, reach, -reach, 1e30, -3e38, 31.99, -32.01]
    x = np.concatenate([edges, np.arange(-2 * int(reach), 2 * int(reach) + 1) / 2, special]).astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(-99)), np.nextafter(x, np.float32(99))])
    around = np.float32([layout.lidar_min_height_m, layout.lidar_max_height_m])
    heights = np.concatenate([around, np.nextafter(around, np.float32(-99)), np.nextafter(around, np.float32(999)), [1.0]])
    ground = np.concatenate([np.column_stack([x, x[::-1]]), np.column_stack([x, np.roll(x, 7)])])
    whole = [np.column_stack([ground, np.full(len(ground), z)]) for z in heights]
    return np.concatenate(whole).astype(np.float32)


def slow_quarter(images: list[np.ndarray]) -> np.ndarray:
    """[3, 256, 1024] float32 of three 1080p images."""
    crops = [image[28:-28, 416:-416] if k != 1 else image[28:-28] for k, image in enumerate(images)]
    wide = np.concatenate(crops, axis=1).astype(np.int64)
    total = wide[1::4, 1::4] + wide[1::4, 2::4] + wide[2::4, 1::4] + wide[2::4, 2::4]
    return ((total + 2) // 4).astype(np.float32).transpose(2, 0, 1) / np.float32(255)


def slow_histogram(points: np.ndarray, layout: InputLayout) -> np.ndarray:
    """[1, P, P] float32 of finite points."""
    z = points[:, 2]
    kept = points[(z > np.float32(layout.lidar_min_height_m)) & (z < np.float32(layout.lidar_max_height_m))]
    edges = np.linspace(-layout.lidar_range_m, layout.lidar_range_m, layout.lidar_pixels + 1)
    counts = np.histogramdd(kept[:, :2].astype(np.float64), bins=(edges, edges))[0]
    return (np.minimum(counts, layout.lidar_max_count) / layout.lidar_max_count).astype(np.float32)[None]
