"""What a script tells afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from diffdrive.world.events import EventKind
from diffdrive.world.traffic.events.streets import Reins, Streets


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that really happened. Times in seconds from the start of the simulation."""

    kind: EventKind
    tokens: tuple[str, ...]
    first_s: float
    last_s: float
    place: tuple[float, float]


class Script(Protocol):
    """Something that acts on traffic between the steps of a simulation."""

    def step(self, streets: Streets, reins: Reins) -> None:
        """Look at everybody, and hold back whom it must."""

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        """What came of it; asked once, at the end of the simulation."""
