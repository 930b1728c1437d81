"""Check the form of each trajectory: what the devkits need to score it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from diffdrive.openscene.submission.finding import Finding, error, shown, warning
from diffdrive.openscene.submission.read import Foreign, Trajectory, TrajectorySampling

HORIZON_S = 4.0
INTERVAL_S = 0.5
"""What the devkits score, and how the usual trajectory divides it: 8 poses."""

_MAX_POSES = 400
_TOLERANCE = 1e-6


def check_form(trajectories: Mapping[Any, Any]) -> Iterator[Finding]:
    """What is wrong with the form of trajectories by token. One finding for each kind of fault."""
    faulty: dict[str, list[Any]] = defaultdict(list)
    unusual: dict[str, list[Any]] = defaultdict(list)
    for token, trajectory in trajectories.items():
        if fault := _fault(trajectory):
            faulty[fault].append(token)
        elif abs(trajectory.trajectory_sampling.interval_length - INTERVAL_S) > _TOLERANCE:
            unusual[f"poses are {trajectory.trajectory_sampling.interval_length:g} s apart"].append(token)
    for fault, tokens in faulty.items():
        yield error(f"{fault}.", tokens)
    for kind, tokens in unusual.items():
        yield warning(f"{kind}: the devkits score that, but everyone else sends 8 poses, {INTERVAL_S} s apart.", tokens)


def sound_poses(trajectories: Mapping[Any, Any]) -> Iterator[tuple[list[Any], np.ndarray, float]]:
    """The trajectories of sound form, those of one sampling together: tokens, poses [N, T, 3], interval in s."""
    groups: dict[tuple[int, float], list[Any]] = defaultdict(list)
    for token, trajectory in trajectories.items():
        if not _fault(trajectory):
            groups[len(trajectory.poses), float(trajectory.trajectory_sampling.interval_length)].append(token)
    for (_, interval_s), tokens in groups.items():
        yield tokens, np.stack([trajectories[token].poses for token in tokens]).astype(np.float64), interval_s


def _fault(trajectory: Any) -> str:
    """What a devkit would stumble over, or nothing."""
    if not isinstance(trajectory, Trajectory):
        kind = "numpy array" if isinstance(trajectory, np.ndarray) else type(trajectory).__name__
        return f"a {kind} stands where a Trajectory must: return navsim's Trajectory from compute_trajectory"
    return _fault_of_poses(trajectory.poses) or _fault_of_sampling(trajectory.trajectory_sampling, len(trajectory.poses))


def _fault_of_poses(poses: Any) -> str:
    if isinstance(poses, Foreign):
        return (
            f"poses are a {type(poses).__module__} object, not a numpy array: call .cpu().numpy() before making the Trajectory"
        )
    if not isinstance(poses, np.ndarray):
        return f"poses must be a numpy array, got {type(poses).__name__}"
    if poses.ndim != 2 or poses.shape[1] != 3 or not 0 < len(poses) <= _MAX_POSES:
        return f"poses must have the shape (8, 3) of x, y and heading, got {poses.shape}"
    if poses.dtype not in (np.float32, np.float64):
        return f"poses must be float32 or float64, got {poses.dtype}"
    if not np.isfinite(poses).all():
        return "poses hold NaN or infinite values"
    return ""


def _fault_of_sampling(sampling: Any, num_poses: int) -> str:
    if not isinstance(sampling, TrajectorySampling):
        return f"trajectory_sampling must be nuPlan's TrajectorySampling, got {type(sampling).__name__}"
    given = sampling.num_poses, sampling.time_horizon, sampling.interval_length
    if not all(isinstance(value, int | float) and value > 0 for value in given):
        return f"the sampling must have num_poses, time_horizon and interval_length, got {', '.join(map(shown, given))}"
    said = f"num_poses {shown(given[0])}, time_horizon {shown(given[1])}, interval_length {shown(given[2])}"
    if given[0] != num_poses or abs(given[0] * given[2] - given[1]) > _TOLERANCE:
        return f"the sampling ({said}) does not fit {num_poses} poses"
    if abs(given[1] - HORIZON_S) > _TOLERANCE:
        return f"the sampling ({said}) must reach {HORIZON_S:g} s ahead: 8 poses, {INTERVAL_S} s apart"
    return ""
