"""A LiDAR sweep becomes a bird's-eye histogram of the points above the ground."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scene import LidarSweep
from diffdrive.tensors import InputLayout


def build_lidar(sweep: LidarSweep | None, layout: InputLayout) -> Tensor:
    """[1, P, P] float32 in 0..1: points per cell, clipped and divided by ``lidar_max_count``.

    Row = x from behind to ahead, column = y from right to left. Counts equal ``numpy.histogramdd`` over evenly spaced
    edges: every cell holds its lower edge, the last one its upper edge too.

    Raises ``InputError`` for a missing sweep and for one without any point (a sensor that is off, not an empty world).
    """
    if sweep is None:
        raise InputError(
            "The planner needs a LiDAR sweep and the observation has none. "
            "Load the scene with sensors, from a source that has LiDAR."
        )
    if len(sweep.points) == 0:
        raise InputError("The LiDAR sweep holds no points at all. Check the sensor or the file it was read from.")
    # Heights are compared in float32, the type of the points: a return at float32(0.2) counts as ground.
    z = sweep.points[:, 2]
    above = (z > np.float32(layout.lidar_min_height_m)) & (z < np.float32(layout.lidar_max_height_m))
    x, y = sweep.points[above, 0].astype(np.float64), sweep.points[above, 1].astype(np.float64)
    inside = (np.abs(x) <= layout.lidar_range_m) & (np.abs(y) <= layout.lidar_range_m)
    row, column = _cells(x[inside], layout), _cells(y[inside], layout)
    pixels = layout.lidar_pixels
    counts = np.bincount(row * pixels + column, minlength=pixels * pixels).reshape(1, pixels, pixels)
    clipped = np.minimum(counts, layout.lidar_max_count)
    return torch.from_numpy((clipped / layout.lidar_max_count).astype(np.float32))


def _cells(values: np.ndarray, layout: InputLayout) -> np.ndarray:
    """Index of the cell of each value; the values lie within the range."""
    pixels, reach = layout.lidar_pixels, layout.lidar_range_m
    edges = np.linspace(-reach, reach, pixels + 1)
    # Scale first, shift after: adding the range first would round tiny negative numbers across the middle edge.
    guess = np.floor(values * (pixels / (2 * reach))).astype(np.int64) + pixels // 2
    guess = np.clip(guess, 0, pixels - 1)
    # Cells that are no power of two in metres have rounded edges; the edges themselves decide.
    guess -= values < edges[guess]
    guess += values >= edges[guess + 1]
    return np.minimum(guess, pixels - 1)
