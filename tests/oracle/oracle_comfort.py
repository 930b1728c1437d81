"""The reader's way to judge comfort: scipy's Savitzky-Golay filter and bounds, one drive at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter

DT, CENTER = 0.1, 1.461

BOUNDS = {
    "longitudinal_acceleration": (-4.05, 2.40),
    "lateral_acceleration": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),
    "longitudinal_jerk": (-4.13, 4.13),
    "yaw_acceleration": (-1.93, 1.93),
    "yaw_rate": (-0.95, 0.95),
}
"""All strict."""

EXTENDED_BOUNDS = {"acceleration": 0.7, "jerk": 0.5, "yaw_rate": 0.1, "yaw_acceleration": 0.1}
"""Of the root mean square of the difference between two drives; reaching a bound is comfortable."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Samples that a filter of the version looks at."""

    acceleration: int
    jerk: int


V1_WINDOWS, V2_WINDOWS = Windows(acceleration=41, jerk=41), Windows(acceleration=8, jerk=15)


def smooth(values: np.ndarray, window: int, order: int, derivative: int = 0) -> np.ndarray:
    return np.round(savgol_filter(values, min(window, len(values)), order, deriv=derivative, delta=DT), 8)


def accelerations(states: np.ndarray, version: int) -> dict[str, np.ndarray]:
    """Unfiltered [T], by direction."""
    along, across = states[:, 5], states[:, 6]
    if version == 1:
        return {"x": along, "y": across, "magnitude": np.hypot(along, across)}
    # v2 measures at the centre of the car. Its shift lands on the x axis whole: the turning part belongs on y.
    turning = CENTER * (states[:, 9] ** 2 + states[:, 10])
    return {"x": along + turning, "y": across, "magnitude": np.hypot(along, across)}


def measures(states: np.ndarray, version: int) -> dict[str, np.ndarray]:
    """[T] what ``BOUNDS`` bound, of ``states`` [T, 11]."""
    windows = V1_WINDOWS if version == 1 else V2_WINDOWS
    raw = accelerations(states, version)
    heading = np.unwrap(states[:, 2])
    return {
        "longitudinal_acceleration": smooth(raw["x"], windows.acceleration, 2),
        "lateral_acceleration": smooth(raw["y"], windows.acceleration, 2),
        # Jerk is derived from acceleration smoothed over eight samples in both versions.
        "jerk": smooth(smooth(raw["magnitude"], 8, 2), windows.jerk, 2, 1),
        "longitudinal_jerk": smooth(smooth(raw["x"], 8, 2), windows.jerk, 2, 1),
        "yaw_acceleration": smooth(heading, 5, 3, 2),
        "yaw_rate": smooth(heading, 5, 2, 1),
    }


def exceeded(found: dict[str, np.ndarray]) -> list[str]:
    """The bounds that some step reaches."""
    return [name for name, (low, high) in BOUNDS.items() if not ((found[name] > low) & (found[name] < high)).all()]


def extended_measures(now: np.ndarray, previous: np.ndarray, interval_s: float = 0.5) -> dict[str, float]:
    """Root mean square of the differences between the drives [41, 11] of two scenes while they overlap."""
    lag = round(interval_s / DT)
    now, previous = now[:-lag], previous[lag:]

    def of(states: np.ndarray) -> dict[str, np.ndarray]:
        acceleration, heading = smooth(np.hypot(states[:, 5], states[:, 6]), 8, 2), np.unwrap(states[:, 2])
        return {
            "acceleration": acceleration,
            "jerk": smooth(acceleration, 15, 2, 1),
            "yaw_rate": smooth(heading, 5, 2, 1),
            "yaw_acceleration": smooth(heading, 5, 2, 2),
        }

    a, b = of(now), of(previous)
    return {name: float(np.sqrt(np.mean((a[name] - b[name]) ** 2))) for name in EXTENDED_BOUNDS}


def extended_comfort(now: np.ndarray, previous: np.ndarray, interval_s: float = 0.5) -> float:
    found = extended_measures(now, previous, interval_s)
    return float(all(found[name] <= bound for name, bound in EXTENDED_BOUNDS.items()))
