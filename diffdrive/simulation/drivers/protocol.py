"""A driver: from the scene of a moment to the trajectory to follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from diffdrive.scene import Scene, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One answer of a driver."""

    trajectory: Trajectory
    """What to follow until the next answer; four seconds or more."""

    status: str = "PLANNED"
    """The name of the status under which the answer is counted."""

    sentence: str = "The driver planned this trajectory."
    """What that status means, to be shown to a person."""

    detail: str = ""
    proposals: np.ndarray | None = None
    """[M, T, 3] what else was considered."""

    scores: np.ndarray | None = None
    """[M] of the proposals."""


class Driver(Protocol):
    """Drives one episode. Asked for every plan in turn; a new episode gets a new driver."""

    needs_sensors: bool
    """Whether the scenes it is given must hold images and a sweep."""

    def drive(self, scene: Scene, /) -> Drive:
        """The present scene (which has no future) becomes a trajectory in its ego frame.

        Drivers that are no yardsticks look at ``scene.observation`` alone.
        """
