"""The ego vehicle's own motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoState:
    """The rear axle at one instant."""

    timestamp_us: int
    pose: np.ndarray
    """[3] x, y, heading in the ego frame at t = 0 (so the present state has pose zero)."""

    velocity: np.ndarray
    """[2] vx, vy of the rear axle along the vehicle's own axes at this instant, m/s."""

    acceleration: np.ndarray
    """[2] ax, ay likewise, m/s^2."""

    yaw_rate: float = 0.0
    """rad/s, to the left positive; zero where the data do not tell."""

    def __post_init__(self) -> None:
        axes = Axes("EgoState")
        for name, contract in (("pose", "3"), ("velocity", "2"), ("acceleration", "2")):
            array = frozen_array(getattr(self, name), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)
        if not math.isfinite(self.yaw_rate):
            raise InputError(f"EgoState.yaw_rate must be finite, got {self.yaw_rate}. Leave it out where it is unknown.")

    @property
    def speed(self) -> float:
        """m/s, never negative."""
        return float(np.hypot(*self.velocity))
