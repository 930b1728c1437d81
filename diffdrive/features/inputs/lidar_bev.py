"""A LiDAR sweep becomes a bird's-eye histogram of the points above the ground, on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.features.inputs.cell_grid import CellGrid
from diffdrive.scene import LidarSweep
from diffdrive.tensors import InputLayout

_BLOCK = 32_768
"""Points at once: what is computed of them stays in the cache, and the system need not find new pages for every sweep."""


def build_lidar(sweep: LidarSweep | None, layout: InputLayout) -> Tensor:
    """[1, P, P] float32 in 0..1: points per cell, clipped and divided by ``lidar_max_count``.

    Row = x from behind to ahead, column = y from right to left. Counts equal ``numpy.histogramdd`` over evenly spaced
    edges: every cell holds its lower edge, the last one its upper edge too.

    Raises ``InputError`` for a missing sweep and for one without any point (a sensor that is off, not an empty world).
    """
    grid, pixels, points = CellGrid.of(layout), layout.lidar_pixels, sweep_points(sweep)
    cells, count = np.empty(len(points), np.intp), 0
    for first in range(0, len(points), _BLOCK):
        found = _occupied(points[first : first + _BLOCK], grid)
        cells[count : count + len(found)] = found
        count += len(found)
    counts = np.bincount(cells[:count], minlength=pixels * pixels)
    return torch.from_numpy(grid.values.take(counts, mode="clip").reshape(1, pixels, pixels))


def sweep_points(sweep: LidarSweep | None) -> np.ndarray:
    """[N, 3] float32. Raises ``InputError`` where there is no sweep or no point in it."""
    if sweep is None:
        raise InputError(
            "The planner needs a LiDAR sweep and the observation has none. "
            "Load the scene with sensors, from a source that has LiDAR."
        )
    if len(sweep.points) == 0:
        raise InputError("The LiDAR sweep holds no points at all. Check the sensor or the file it was read from.")
    return sweep.points


def _occupied(points: np.ndarray, grid: CellGrid) -> np.ndarray:
    """Row * P + column of every point that counts."""
    x, y, z = np.ascontiguousarray(points.T)
    counting = (z > np.float32(grid.lowest)) & (z < np.float32(grid.highest))
    counting &= np.abs(x) <= np.float32(grid.reach)
    counting &= np.abs(y) <= np.float32(grid.reach)
    chosen = np.flatnonzero(counting)  # taking by index is several times as fast as by mask
    occupied = _cells(x.take(chosen), grid)
    occupied *= grid.pixels
    occupied += _cells(y.take(chosen), grid)
    return occupied


def _cells(values: np.ndarray, grid: CellGrid) -> np.ndarray:
    """int32 index of the cell of each value (float32, metres); the values lie within the range."""
    if not grid.suits_float32:
        values = values.astype(np.float64)
    # Scale first, shift after: adding the range first would round tiny negative numbers across the middle edge.
    cells = np.floor(values * values.dtype.type(grid.cells_per_metre)).astype(np.int32)
    cells += grid.pixels // 2
    np.minimum(cells, grid.pixels - 1, out=cells)
    if not grid.suits_float32:
        # Rounded edges: the edges themselves decide.
        np.maximum(cells, 0, out=cells)
        cells -= values < grid.edges[cells]
        cells += values >= grid.edges[cells + 1]
        np.minimum(cells, grid.pixels - 1, out=cells)
    return cells
