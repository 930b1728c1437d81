"""Submission pickles by hand, under the names that the devkits' classes have, without a devkit."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

TRAJECTORIES = "navsim.common.dataclasses"
SAMPLINGS = "nuplan.planning.simulation.trajectory.trajectory_sampling"

TEAM = {
    "team_name": "Careful Drivers",
    "authors": "A. Author, B. Author",
    "email": "a.author@cs.university.edu",
    "institution": "University of Somewhere",
    "country / region": "Iceland",
}


@dataclass
class TrajectorySampling:
    num_poses: Any = 8
    time_horizon: Any = 4.0
    interval_length: Any = 0.5


@dataclass
class Trajectory:
    poses: Any
    trajectory_sampling: Any


TrajectorySampling.__module__, Trajectory.__module__ = SAMPLINGS, TRAJECTORIES


def token(index: int, *, synthetic: bool = False) -> str:
    return f"{index:0{17 if synthetic else 16}x}"


def bends(count: int, *, curvature: float = 0.02, dtype: Any = np.float32) -> np.ndarray:
    """Plans along arcs to both sides at different speeds, [count, 8, 3]."""
    rates = curvature * np.linspace(-1, 1, count)[:, None] + 1e-4
    arc = (3.0 + np.arange(count)[:, None]) % 12 * 0.5 * np.arange(1, 9)
    heading = rates * arc
    return np.stack([np.sin(heading) / rates, (1 - np.cos(heading)) / rates, heading], axis=-1).astype(dtype)


def plans(poses: np.ndarray, *, synthetic: bool = False, **sampling: Any) -> dict[Any, Any]:
    return {token(i, synthetic=synthetic): Trajectory(each, TrajectorySampling(**sampling)) for i, each in enumerate(poses)}


def sound(version: str = "v1.1", count: int = 12) -> dict[str, Any]:
    """A submission with nothing to complain about."""
    if version == "v1.1":
        return {**TEAM, "predictions": [plans(bends(count))]}
    second = plans(bends(count + 1)[1:], synthetic=True)
    return {**TEAM, "first_stage_predictions": [plans(bends(count))], "second_stage_predictions": [second]}


def write(path: Path, content: Any, *, classes: Sequence[type] = (), numpy: int = 1, protocol: int = 2) -> Path:
    """Pickle it with its classes' modules in place, and with arrays as ``numpy`` 1 or 2 spells them (up to protocol 3)."""
    modules: dict[str, Any] = {}
    for cls in (Trajectory, TrajectorySampling, *classes):
        # A module is imported through all the packages around it.
        parts = cls.__module__.split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            modules.setdefault(name, ModuleType(name))
        setattr(modules[cls.__module__], cls.__name__, cls)
    with mock.patch.dict(sys.modules, modules):
        data = pickle.dumps(content, protocol=protocol)
    here = b"numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0b1" else b"numpy.core"
    path.write_bytes(data.replace(here, b"numpy.core" if numpy == 1 else b"numpy._core"))
    return path
