"""Angles in radians, counter-clockwise, wrapped to (-pi, pi]."""

from __future__ import annotations

import numpy as np


def wrap_angle(angle: np.ndarray | float) -> np.ndarray:
    """The same direction in (-pi, pi]. Any shape."""
    wrapped = np.pi - np.mod(np.pi - np.asarray(angle, dtype=np.float64), 2 * np.pi)
    # The modulo of a tiny negative number rounds up to the full period; both ends of the interval mean the same direction.
    return np.where(wrapped <= -np.pi, np.pi, wrapped)
