"""A trajectory at another rate: piecewise cubic in time, through every pose, without overshoot (Fritsch and Butland 1984)."""

from __future__ import annotations

import math

import numpy as np

from diffdrive.geometry import wrap_angle
from diffdrive.scene import Trajectory


def resampled(trajectory: Trajectory, frequency_hz: int) -> Trajectory:
    """``trajectory`` with a pose every 1 / ``frequency_hz`` seconds, as far as it reaches.

    Between two poses x, y and heading never leave the range that the two span, so a car that stops does not roll back. The
    first piece begins at the origin, where the car is. At the trajectory's own rate its poses come back unchanged.
    """
    interval_s = 1.0 / frequency_hz
    if math.isclose(interval_s, trajectory.interval_s):
        return trajectory
    poses = np.concatenate([np.zeros((1, 3)), trajectory.poses])
    poses[:, 2] = np.unwrap(poses[:, 2])
    times_s = np.arange(1, math.floor(trajectory.horizon_s * frequency_hz + 1e-6) + 1) * interval_s
    fine = _between(poses, times_s / trajectory.interval_s)
    fine[:, 2] = wrap_angle(fine[:, 2])
    return Trajectory(fine, interval_s=interval_s)


def _between(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """``values`` [K, C] at fractional row numbers ``places`` [N]."""
    slopes = _slopes(values)
    row = np.clip(places.astype(int), 0, len(values) - 2)
    part = (places - row)[:, None]
    rest = 1.0 - part
    ends = rest**2 * (1 + 2 * part) * values[row] + part**2 * (1 + 2 * rest) * values[row + 1]
    bends = part * rest * (rest * slopes[row] - part * slopes[row + 1])
    return np.asarray(ends + bends)


def _slopes(values: np.ndarray) -> np.ndarray:
    """[K, C] slopes at rows one apart: the harmonic mean of both sides, and flat where the direction turns."""
    steps = np.diff(values, axis=0)
    before, after = steps[:-1], steps[1:]
    turns = before * after <= 0
    inner = np.where(turns, 0.0, 2 * before * after / np.where(turns, 1.0, before + after))
    if len(steps) == 1:
        return np.repeat(steps, 2, axis=0)
    return np.concatenate([_end_slope(steps[0], steps[1])[None], inner, _end_slope(steps[-1], steps[-2])[None]])


def _end_slope(nearest: np.ndarray, next_one: np.ndarray) -> np.ndarray:
    """At an end, of the parabola through three rows, held to what cannot overshoot: 0 to 3 times the nearest step."""
    slope = (3 * nearest - next_one) / 2
    return np.asarray(np.clip(slope, np.minimum(0, 3 * nearest), np.maximum(0, 3 * nearest)))
