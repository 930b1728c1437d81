"""Street lamps: where they stand, and how brightly the ground around each of them is lit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, frozen_array

STEP_M = 1.0
REACH_M = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LampMap:
    """Lamplight on the ground of a town, seen from above; dark outside."""

    light: np.ndarray
    """[H, W] 0 to 255, one value every ``STEP_M`` along y and x, uint8; its rim is dark."""

    origin: np.ndarray
    """[2] outer corner of the first value, town frame, metres."""

    def __post_init__(self) -> None:
        axes = Axes("LampMap")
        for name, contract, dtype in (("light", "H W", np.uint8), ("origin", "2", np.float64)):
            array = frozen_array(getattr(self, name), dtype)
            axes.check(name, array, contract)
            object.__setattr__(self, name, array)

    def at(self, points: np.ndarray) -> np.ndarray:
        """[N] brightness 0..1 at points [N, 2 or more] of the town frame, blended between values."""
        place = (points[:, :2] - self.origin) / STEP_M - 0.5
        height, width = self.light.shape
        place = np.clip(place, 0.0, [width - 1.001, height - 1.001])
        first = place.astype(np.int64)
        u, v = (place - first).T
        row, column = first[:, 1], first[:, 0]
        light = self.light / np.float64(255)
        low = light[row, column] * (1 - u) + light[row, column + 1] * u
        high = light[row + 1, column] * (1 - u) + light[row + 1, column + 1] * u
        return low * (1 - v) + high * v


def lamp_map(lamps: np.ndarray) -> LampMap:
    """The light of lamps at [L, 2], which may be none."""
    if not len(lamps):
        return LampMap(light=np.zeros((4, 4)), origin=np.zeros(2))
    reach = int(np.ceil(REACH_M / STEP_M))
    origin = np.floor(lamps.min(axis=0)) - REACH_M - 2.0
    size = np.ceil((lamps.max(axis=0) - origin + REACH_M + 2.0) / STEP_M).astype(int)
    light = np.zeros((size[1], size[0]))
    span = np.arange(-reach, reach + 1)
    for lamp in lamps:
        column, row = ((lamp - origin) / STEP_M).astype(int)
        x, y = origin[0] + (column + span + 0.5) * STEP_M - lamp[0], origin[1] + (row + span + 0.5) * STEP_M - lamp[1]
        square = (x[None, :] ** 2 + y[:, None] ** 2) / REACH_M**2
        light[row - reach : row + reach + 1, column - reach : column + reach + 1] += np.clip(1 - square, 0.0, 1.0) ** 2 / (
            1 + 6.0 * square
        )
    light = np.clip(light, 0.0, 1.0) * 255
    light[[0, -1]] = light[:, [0, -1]] = 0.0
    return LampMap(light=light, origin=origin)
