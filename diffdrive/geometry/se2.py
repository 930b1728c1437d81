"""Planar poses and points between two frames. A pose is [x, y, heading]; a point or a vector is [x, y]."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry.angles import wrap_angle


def rotation(heading: float) -> np.ndarray:
    """[2, 2] matrix that turns a vector of the local frame into the frame in which ``heading`` is measured."""
    c, s = np.cos(heading), np.sin(heading)
    return np.array([[c, -s], [s, c]])


def to_local(values: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Express poses [..., 3] or points [..., 2] of the outer frame in the frame of the pose ``origin`` [3]."""
    values = np.asarray(values, dtype=np.float64)
    points = (values[..., :2] - origin[:2]) @ rotation(float(origin[2]))
    return _with_heading(points, values, -float(origin[2]))


def to_world(values: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Undo ``to_local``: express poses [..., 3] or points [..., 2] of the frame of ``origin`` in the outer frame."""
    values = np.asarray(values, dtype=np.float64)
    points = values[..., :2] @ rotation(float(origin[2])).T + origin[:2]
    return _with_heading(points, values, float(origin[2]))


def rotate(vectors: np.ndarray, heading: float) -> np.ndarray:
    """Turn vectors [..., 2] counter-clockwise by ``heading``: velocities and other directions, which have no origin."""
    return np.asarray(vectors, dtype=np.float64) @ rotation(heading).T


def _with_heading(points: np.ndarray, values: np.ndarray, turn: float) -> np.ndarray:
    if values.shape[-1] == 2:
        return points
    return np.concatenate([points, wrap_angle(values[..., 2:3] + turn)], axis=-1)
