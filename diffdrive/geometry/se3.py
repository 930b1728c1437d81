"""Spatial transforms as 4 x 4 matrices, named ``target_from_source``, and the pinhole projection (OpenCV axes)."""

from __future__ import annotations

import numpy as np


def transform_from_pose(pose: np.ndarray, z: float = 0.0) -> np.ndarray:
    """[4, 4] outer_from_local of a planar pose [x, y, heading] at height ``z``."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return np.array([[c, -s, 0, pose[0]], [s, c, 0, pose[1]], [0, 0, 1, z], [0, 0, 0, 1]], dtype=np.float64)


def transform_from_quaternion(quaternion: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """[4, 4] from a quaternion [w, x, y, z] (normalised here) and a translation [3]."""
    w, x, y, z = np.asarray(quaternion, dtype=np.float64) / np.linalg.norm(quaternion)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix


def invert_transform(matrix: np.ndarray) -> np.ndarray:
    """[4, 4] inverse of a rigid transform, without a general matrix inversion."""
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply [4, 4] target_from_source to points [..., 3]."""
    return np.asarray(points) @ matrix[:3, :3].T + matrix[:3, 3]


def project_points(points_camera: np.ndarray, intrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [..., 2] (column, row) and depths [...] (metres) of points [..., 3] in the camera frame.

    Camera axes: x right, y down, z forward. Points at depth <= 0 have no image: mask them by the returned depth.
    """
    depth = points_camera[..., 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    normalised = points_camera[..., :2] / safe[..., None]
    pixels = normalised * np.array([intrinsics[0, 0], intrinsics[1, 1]]) + intrinsics[:2, 2]
    return pixels, depth
