"""Motion by formula: how far aside, how fast towards a line, how far across."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def bump(arc: np.ndarray, first: float, last: float, ramp: float) -> np.ndarray:
    """0 far away, 1 from ``first`` to ``last``, smooth (half a cosine) over ``ramp`` metres before and after."""
    outside = np.maximum(first - arc, arc - last)
    return 0.5 * (1.0 + np.cos(np.pi * np.clip(outside / ramp, 0.0, 1.0)))


def needed_deceleration(speed: float, distance: float, end_speed: float = 0.0) -> float:
    """Constant deceleration, m/s^2, that leads to ``end_speed`` after ``distance`` metres; infinite where none are left."""
    if speed <= end_speed:
        return 0.0
    return (speed**2 - end_speed**2) / (2.0 * distance) if distance > 0.0 else math.inf


def speed_towards(distance: float, deceleration: float, interval_s: float, end_speed: float = 0.0) -> float:
    """Highest speed, m/s, during the next step from which ``deceleration`` still leads to ``end_speed`` at ``distance``."""
    if distance <= 0.0:
        return end_speed
    lag = deceleration * interval_s
    return max(end_speed, math.sqrt(lag**2 + 2.0 * deceleration * distance + end_speed**2) - lag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Somebody who starts to walk and keeps on."""

    speed: float
    """Metres per second once under way."""

    start_s: float = 0.6
    """Time from standing to full speed."""

    def distance(self, time: float) -> float:
        """Metres walked after ``time`` seconds."""
        if time <= self.start_s:
            return self.speed * max(time, 0.0) ** 2 / (2.0 * self.start_s)
        return self.speed * (time - self.start_s / 2.0)

    def time(self, distance: float) -> float:
        """Seconds after which ``distance`` metres are walked: undoes ``distance``."""
        if distance <= self.distance(self.start_s):
            return math.sqrt(max(distance, 0.0) * 2.0 * self.start_s / self.speed)
        return distance / self.speed + self.start_s / 2.0
