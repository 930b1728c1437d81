"""Lift simulated points onto vehicles that can exist.

SUMO moves a front bumper along lane lines, with a heading that is a chord and an acceleration that is a step function. Here the
body centre follows the same (smoothed) line with smoothed progress, and the heading solves the equation of a rear axle that
does not slip: theta' = sin(phi - theta) / d per metre, with phi the direction in which the centre moves and d its distance
from the rear axle.
"""

from __future__ import annotations

import math

import numpy as np

PATH_SMOOTHING_M = 1.2
TIME_SMOOTHING_S = 0.4
WALKER_SMOOTHING_S = 0.3
GRID_M = 0.1
MIN_TRAVEL_M = 2.0
MIN_WALKING_SPEED = 0.3


def lift_vehicle(
    front: np.ndarray, headings: np.ndarray, *, length: float, rear_axle_to_center: float, interval_s: float
) -> np.ndarray:
    """Body-centre poses [T, 3] of a vehicle whose front bumper was at ``front`` [T, 2] with ``headings`` [T] (radians).

    Needs T >= 1. A vehicle that hardly moves keeps its place and heading.
    """
    steps = np.hypot(*np.diff(front, axis=0).T)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    if travelled[-1] < MIN_TRAVEL_M:
        direction = np.array([np.cos(headings[0]), np.sin(headings[0])])
        return np.column_stack([np.tile(front[0] - length / 2 * direction, (len(front), 1)), np.full(len(front), headings[0])])
    grid, path = _smooth_path(front, headings, travelled, length)
    tangents = np.gradient(path, axis=0)
    direction = np.unwrap(np.arctan2(tangents[:, 1], tangents[:, 0]))
    heading = _no_slip_headings(direction, rear_axle_to_center)
    progress = _smooth_progress(travelled, interval_s) - length / 2
    columns = [np.interp(progress, grid, values) for values in (path[:, 0], path[:, 1], heading)]
    return np.column_stack(columns)


def lift_walker(front: np.ndarray, headings: np.ndarray, *, length: float, interval_s: float) -> np.ndarray:
    """Body-centre poses [T, 3] of somebody on foot: smoothed places, facing where they walk."""
    direction = np.column_stack([np.cos(headings), np.sin(headings)])
    places = _smooth(front - length / 2 * direction, WALKER_SMOOTHING_S / interval_s)
    if len(places) < 2:
        return np.column_stack([places, headings])
    motion = np.gradient(places, interval_s, axis=0)
    moving = np.hypot(motion[:, 0], motion[:, 1]) > MIN_WALKING_SPEED
    facing = np.where(moving, np.arctan2(motion[:, 1], motion[:, 0]), np.nan)
    if not moving.any():
        return np.column_stack([places, np.full(len(places), headings[0])])
    # Who stands keeps facing the way they last walked (or will walk first).
    last = np.maximum.accumulate(np.where(moving, np.arange(len(places)), -1))
    last[last < 0] = int(np.argmax(moving))
    return np.column_stack([places, np.unwrap(facing[last])])


def _smooth_path(
    front: np.ndarray, headings: np.ndarray, travelled: np.ndarray, length: float
) -> tuple[np.ndarray, np.ndarray]:
    """The line of the front bumper, extended straight at both ends, every ``GRID_M``: arc lengths [G] and points [G, 2]."""
    keep = np.concatenate([[True], np.diff(travelled) > 1e-3])
    grid = np.arange(-length - 6.0, travelled[-1] + 6.0, GRID_M)
    path = np.column_stack([np.interp(grid, travelled[keep], front[keep, axis]) for axis in (0, 1)])
    before, after = grid < 0.0, grid > travelled[-1]
    path[before] = front[0] + grid[before, None] * [np.cos(headings[0]), np.sin(headings[0])]
    path[after] = front[-1] + (grid[after, None] - travelled[-1]) * [np.cos(headings[-1]), np.sin(headings[-1])]
    return grid, _smooth(path, PATH_SMOOTHING_M / GRID_M)


def _no_slip_headings(direction: np.ndarray, rear_axle_to_center: float) -> np.ndarray:
    heading, headings = float(direction[0]), [float(direction[0])]
    gain = GRID_M / rear_axle_to_center
    for phi in direction[:-1].tolist():
        heading += math.sin(phi - heading) * gain
        headings.append(heading)
    return np.array(headings)


def _smooth_progress(travelled: np.ndarray, interval_s: float) -> np.ndarray:
    """Progress without steps in speed; odd reflection at the ends keeps the speed there."""
    pad = min(len(travelled) - 1, round(4 * TIME_SMOOTHING_S / interval_s) + 8)
    padded = np.pad(travelled, pad, mode="reflect", reflect_type="odd") if pad > 0 else travelled
    smooth = _smooth(padded[:, None], TIME_SMOOTHING_S / interval_s)[:, 0]
    return np.maximum.accumulate(smooth[pad : len(smooth) - pad] if pad > 0 else smooth)


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter of [N, C] along the first axis; ends are held. ``sigma`` in samples."""
    reach = math.ceil(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.column_stack([np.convolve(padded[:, column], kernel, mode="valid") for column in range(values.shape[1])])
