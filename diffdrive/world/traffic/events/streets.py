"""Traffic at one step, as the scripts see it, and the reins with which they hold vehicles back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from diffdrive.world.traffic.events.sites import Gate

FREE_SPEED_MODE = 31
"""SUMO's default: keep every rule."""

HARSH_SPEED_MODE = 27
"""All rules, but decelerate as hard as told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """A vehicle (also a bicycle) at one step."""

    name: str
    type_name: str
    edge_id: str
    """':...' inside a junction."""

    lane: str
    position: float
    """Of the front bumper along the lane, metres."""

    speed: float
    length: float
    next_edge_id: str
    """The street after this one; '' at the end of the trip."""

    place: tuple[float, float]
    """Front bumper, world frame, metres."""

    @property
    def is_ego(self) -> bool:
        """Whether it has the ego's body."""
        return self.type_name.startswith("ego")

    @property
    def may_act(self) -> bool:
        """Whether it may misbehave: a car that nobody passes within its lane, and not one that is taken as an example."""
        return self.length > 3.0 and not self.is_ego

    @property
    def tail(self) -> float:
        """Of the rear bumper along the lane, metres; negative where it is still on the lane before."""
        return self.position - self.length


class Streets:
    """All vehicles at one step, by name, street and lane."""

    def __init__(self, sumo: Any, time: float, cars: Iterable[Car]) -> None:
        self.time = time
        self.cars = {car.name: car for car in cars}
        self._sumo = sumo
        self._edges: dict[str, list[Car]] = {}
        self._lanes: dict[str, list[Car]] = {}
        for car in sorted(self.cars.values(), key=lambda car: -car.position):
            self._edges.setdefault(car.edge_id, []).append(car)
            self._lanes.setdefault(car.lane, []).append(car)
        self._inside: dict[str, list[Car]] = {}
        for edge, inside in self._edges.items():
            if edge.startswith(":"):
                self._inside.setdefault(edge[1:].rsplit("_", 1)[0], []).extend(inside)

    def on_edge(self, edge_id: str) -> list[Car]:
        """The foremost first."""
        return self._edges.get(edge_id, [])

    def on_lane(self, lane: str) -> list[Car]:
        """The foremost first."""
        return self._lanes.get(lane, [])

    def leader(self, car: Car) -> Car | None:
        """The next vehicle ahead on the same lane."""
        ahead = [other for other in self.on_lane(car.lane) if other.position > car.position]
        return ahead[-1] if ahead else None

    def approaching(self, gate: Gate, horizon_m: float) -> list[tuple[float, Car]]:
        """Who comes to a gate, with the metres from front bumper to line, the nearest first; also from the streets before."""
        found = [(gate.stop_m - car.position, car) for car in self.on_edge(gate.edge_id) if car.position < gate.stop_m]
        before = [car for edge in gate.feeder_edge_ids for car in self.on_edge(edge)] + self._inside.get(gate.junction, [])
        for car in before:
            if car.next_edge_id == gate.edge_id:
                distance = self._sumo.vehicle.getDrivingDistance(car.name, gate.edge_id, gate.stop_m)
                if 0.0 <= distance <= horizon_m:
                    found.append((distance, car))
        return sorted(((d, car) for d, car in found if d <= horizon_m), key=lambda pair: (pair[0], pair[1].name))


class Reins:
    """Upper limits of speed that several scripts put on vehicles; the lowest counts, and only while it is asked for.

    They also know who plays a part: nobody plays two.
    """

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._caps: dict[str, float] = {}
        self._harsh: set[str] = set()
        self._held: set[str] = set()
        self._cast: set[str] = set()

    def cast(self, car: Car) -> bool:
        """Give it a part to play, if it has none and never had one, and nobody holds it; says whether it has it now."""
        if car.name in self._cast or self.is_held(car.name):
            return False
        self._cast.add(car.name)
        return True

    def hold(self, car: Car, speed: float, *, is_harsh: bool = False) -> None:
        """No faster than ``speed`` in the next step. Harsh: also if this takes more than the driver's usual braking."""
        self._caps[car.name] = min(speed, self._caps.get(car.name, speed))
        if is_harsh:
            self._harsh.add(car.name)

    def is_held(self, name: str) -> bool:
        """Whether somebody holds it in this or held it in the last step."""
        return name in self._caps or name in self._held

    def apply(self, sumo: Any, streets: Streets) -> None:
        """Hand the limits to SUMO and forget them."""
        # A limit that does not bind yet would pull the vehicle up to it.
        binding = {n: cap for n, cap in self._caps.items() if n in streets.cars and cap < streets.cars[n].speed + 0.2}
        for name in sorted(self._held - binding.keys()):
            if name in streets.cars:
                sumo.vehicle.setSpeed(name, -1)
                sumo.vehicle.setSpeedMode(name, FREE_SPEED_MODE)
        for name, cap in sorted(binding.items()):
            sumo.vehicle.setSpeedMode(name, HARSH_SPEED_MODE if name in self._harsh else FREE_SPEED_MODE)
            sumo.vehicle.setSpeed(name, max(cap, 0.0))
        self._held = set(binding)
        self._caps, self._harsh = {}, set()
