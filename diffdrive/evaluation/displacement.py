"""How far a trajectory is from the one that was driven: average and final displacement, in metres."""

from __future__ import annotations

import numpy as np

MISS_M = 2.0
"""A final displacement above this is a miss, as in the Argoverse forecasting benchmarks."""


def displacements(poses: np.ndarray, driven: np.ndarray) -> np.ndarray:
    """[..., T] distances on the ground between poses [..., T, 3] and the driven poses [T, 3], metres."""
    return np.linalg.norm(poses[..., :2] - driven[:, :2], axis=-1)
