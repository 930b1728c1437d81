"""How far a trajectory is from the one that was driven: average and final displacement, in metres."""

from __future__ import annotations

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import Trajectory

MISS_M = 2.0
"""A final displacement above this is a miss, as in the Argoverse forecasting benchmarks."""


def driven_poses(driven: Trajectory, num_poses: int, interval_s: float) -> np.ndarray:
    """[T, 3] the driven poses at the times of a plan with ``num_poses`` poses every ``interval_s`` seconds.

    Raises ``InputError`` when the recording has no pose at one of those times.
    """
    stride = round(interval_s / driven.interval_s)
    if stride < 1 or abs(stride * driven.interval_s - interval_s) > 1e-6 or stride * num_poses > driven.num_poses:
        raise InputError(
            f"A plan with {num_poses} poses every {interval_s} s cannot be compared with a recorded future of "
            f"{driven.num_poses} poses every {driven.interval_s} s. Load scenes with at least {num_poses * interval_s} s of "
            "future, at an interval that divides the plan's."
        )
    return driven.poses[stride - 1 : stride * num_poses : stride]


def displacements(poses: np.ndarray, driven: np.ndarray) -> np.ndarray:
    """[..., T] distances on the ground between poses [..., T, 3] and the driven poses [T, 3], metres."""
    return np.linalg.norm(poses[..., :2] - driven[:, :2], axis=-1)
