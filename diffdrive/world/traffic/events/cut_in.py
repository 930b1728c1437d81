"""Somebody from the next lane moves in, close in front of a car."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.world.events import EventKind
from diffdrive.world.traffic.events.leaders import Chosen
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.events.streets import Car, Reins, Streets

AVOID_COLLISIONS_ONLY = 256
"""SUMO's lane change mode: do as told, mind nothing but the bodies of others."""

NORMAL_MODE = 1621
LASTS_S = 6.0
GAP_M = (5.0, 13.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CutIn:
    name: str
    lane: str
    begun: float
    place: tuple[float, float]


class CutInScript:
    """Asks vehicles that drive a little ahead in the next lane to change over."""

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self._chosen = Chosen(rng, share)
        self._running: list[_CutIn] = []
        self._told: list[Happening] = []

    def step(self, sumo: Any, streets: Streets, reins: Reins) -> None:
        for ego in self._chosen.update(streets):
            other = self._candidate(streets, ego)
            if other is None or reins.is_held(ego.name) or reins.is_held(other.name):
                continue
            self._chosen.done(ego)
            sumo.vehicle.setLaneChangeMode(other.name, AVOID_COLLISIONS_ONLY)
            sumo.vehicle.changeLane(other.name, int(ego.lane.rsplit("_", 1)[1]), LASTS_S)
            self._running.append(_CutIn(name=other.name, lane=ego.lane, begun=streets.time, place=other.place))
        for act in list(self._running):
            car = streets.cars.get(act.name)
            if car is None or streets.time > act.begun + LASTS_S:
                self._running.remove(act)
                if car is not None:
                    sumo.vehicle.setLaneChangeMode(act.name, NORMAL_MODE)
            if car is not None and car.lane == act.lane and act.name not in {n for h in self._told for n in h.tokens}:
                self._tell(act, streets.time)

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        """Only of those who did change over."""
        return tuple(self._told)

    def _candidate(self, streets: Streets, ego: Car) -> Car | None:
        """Somebody close ahead in a neighbouring lane, about as fast, with nobody in between."""
        if ego.edge_id.startswith(":") or ego.speed < 5.0:
            return None
        leader = streets.leader(ego)
        room = leader.tail if leader is not None else ego.position + 100.0
        edge, index = ego.lane.rsplit("_", 1)
        for lane in (f"{edge}_{int(index) + 1}", f"{edge}_{int(index) - 1}"):
            for car in streets.on_lane(lane):
                gap = car.tail - ego.position
                fits = GAP_M[0] < gap < GAP_M[1] and car.position + 6.0 < room
                if fits and not car.is_ego and car.type_name != "bicycle" and 0.0 <= car.speed - ego.speed < 3.0:
                    return car
        return None

    def _tell(self, act: _CutIn, time: float) -> None:
        self._told.append(
            Happening(kind=EventKind.CUT_IN, tokens=(act.name,), first_s=act.begun, last_s=time + 3.0, place=act.place)
        )
