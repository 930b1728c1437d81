"""Oriented boxes on the ground plane, [x, y, heading, length, width], x and y at the box centre."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry.se2 import to_local

# Front left, front right, rear right, rear left, in units of the half extents.
_CORNER_SIGNS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]], dtype=np.float64)


def box_corners(boxes: np.ndarray) -> np.ndarray:
    """Corners [..., 4, 2] of boxes [..., 5], in the order front left, front right, rear right, rear left."""
    boxes = np.asarray(boxes, dtype=np.float64)
    half = boxes[..., None, 3:5] / 2 * _CORNER_SIGNS
    c, s = np.cos(boxes[..., 2])[..., None], np.sin(boxes[..., 2])[..., None]
    x = boxes[..., 0:1] + half[..., 0] * c - half[..., 1] * s
    y = boxes[..., 1:2] + half[..., 0] * s + half[..., 1] * c
    return np.stack([x, y], axis=-1)


def points_in_box(points: np.ndarray, box: np.ndarray, margin: float = 0.0) -> np.ndarray:
    """Which of the points [N, 2] lie inside one box [5], grown by ``margin`` metres on every side. Returns bool [N]."""
    local = to_local(points, box[:3])
    return np.all(np.abs(local) <= np.asarray(box[3:5]) / 2 + margin, axis=-1)
