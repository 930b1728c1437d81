"""What happens in a town by script, beyond what simulated drivers do by themselves: kinds, and where and when."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array


class EventKind(enum.Enum):
    """Each kind is one tag of the scenes that see it."""

    JAYWALKER = "jaywalker"
    DOUBLE_PARKED = "double_parked"
    WORK_ZONE = "work_zone"
    HARD_BRAKE = "hard_brake"
    CUT_IN = "cut_in"
    STOP_AND_GO = "stop_and_go"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One scripted event of a simulated town."""

    kind: EventKind
    tokens: tuple[str, ...]
    """Tracks of those who act (the walker, the braking car, the parked van), never of the car that has to react."""

    first_step: int
    last_step: int
    """Simulation steps, both included, during which it matters to who is near."""

    place: np.ndarray
    """[2] where it happens, world frame, metres; for a moving event the place of its beginning."""

    reach_m: float = 40.0
    """A vehicle farther from the acting tracks than this has nothing to do with it."""

    def __post_init__(self) -> None:
        place = frozen_array(self.place, np.float64)
        Axes(f"Event '{self.kind.value}'").check("place", place, "2", finite=True)
        object.__setattr__(self, "place", place)
        if self.last_step < self.first_step:
            raise InputError(f"An event ends after it begins, got steps {self.first_step} to {self.last_step}.")
