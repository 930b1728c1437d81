"""Streets as they are planned: a line, what it is for, and how many lanes lie along it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

Node = str
"""Name of a junction, in the plan and in SUMO."""

SPEED_LIMITS = (8.33, 11.11, 13.89, 16.67, 19.44, 22.22)
"""30, 40, 50, 60, 70 and 80 km/h in m/s."""

COMFORTABLE_TURN = 2.0
"""Sideways acceleration, m/s^2, that the limit of a curved street keeps to."""


class StreetKind(enum.Enum):
    """What a street is for; the value is the type of its edges in SUMO."""

    MINOR = "minor"
    ARTERIAL = "arterial"
    RING = "ring"
    EXPRESSWAY = "expressway"
    RAMP = "ramp"


_LANE_WIDTHS = {StreetKind.RING: 4.5, StreetKind.RAMP: 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A street between two junctions."""

    start: Node
    end: Node
    points: np.ndarray
    """[K, 2] metres. Two directions lie on both sides of this line. A single one lies to its right, or, where ``is_centered``,
    with the middle of its driving lanes on it."""

    kind: StreetKind
    lanes: int
    """Driving lanes from start to end."""

    lanes_back: int
    """Driving lanes from end to start; 0 where traffic goes one way."""

    speed_limit: float
    has_bike_lanes: bool = False
    has_parking: bool = False
    is_centered: bool = False

    @property
    def lane_width(self) -> float:
        # The one lane of a one-way street has kerbs on both sides.
        narrow = self.kind is StreetKind.MINOR and self.is_one_way and self.lanes == 1
        return 4.2 if narrow else _LANE_WIDTHS.get(self.kind, 3.5)

    @property
    def is_one_way(self) -> bool:
        return self.lanes_back == 0

    @property
    def has_sidewalks(self) -> bool:
        return self.kind not in (StreetKind.EXPRESSWAY, StreetKind.RAMP)

    def one_way(self, *, forward: bool) -> Street:
        """The same street for traffic towards its end, or towards its start."""
        ahead = replace(self, lanes_back=0, is_centered=True)
        return ahead if forward else replace(ahead, start=self.end, end=self.start, points=self.points[::-1])

    def between(self, points: np.ndarray, *, start: Node | None = None, end: Node | None = None) -> Street:
        """The same kind of street along other points, between other junctions where they are given."""
        return replace(self, points=points, start=start or self.start, end=end or self.end)

    def turned(self, rotation: np.ndarray) -> Street:
        """The street, turned about the origin by a matrix [2, 2]."""
        return replace(self, points=self.points @ rotation.T)


def directions(streets: Iterable[Street]) -> list[tuple[Node, Node]]:
    """From where to where one can drive."""
    ways = []
    for street in streets:
        ways.append((street.start, street.end))
        if not street.is_one_way:
            ways.append((street.end, street.start))
    return ways


def is_connected(streets: Iterable[Street]) -> bool:
    """Whether every direction of every street can be reached from every other without turning round."""
    ways = directions(streets)
    leaving: dict[Node, list[tuple[Node, Node]]] = {}
    arriving: dict[Node, list[tuple[Node, Node]]] = {}
    for way in ways:
        leaving.setdefault(way[0], []).append(way)
        arriving.setdefault(way[1], []).append(way)
    ahead = {(a, b): [way for way in leaving.get(b, ()) if way[1] != a] for a, b in ways}
    back = {(a, b): [way for way in arriving.get(a, ()) if way[0] != b] for a, b in ways}
    return all(len(_reached(ways[0], onward)) == len(ways) for onward in (ahead, back))


def _reached(first: tuple[Node, Node], onward: dict[tuple[Node, Node], list[tuple[Node, Node]]]) -> set[tuple[Node, Node]]:
    seen, waiting = {first}, [first]
    while waiting:
        for way in onward[waiting.pop()]:
            if way not in seen:
                seen.add(way)
                waiting.append(way)
    return seen


def limit_for(points: np.ndarray, wanted: float) -> float:
    """The highest of ``SPEED_LIMITS`` that is no higher than ``wanted`` and takes the tightest bend [K, 2] comfortably."""
    steps = np.diff(points, axis=0)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    turns = np.abs(np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))))
    curvature = np.max(2.0 * turns / (lengths[1:] + lengths[:-1]), initial=1e-6)
    top = min(wanted, float(np.sqrt(COMFORTABLE_TURN / curvature)))
    return max((limit for limit in SPEED_LIMITS if limit <= top + 0.01), default=SPEED_LIMITS[0])
