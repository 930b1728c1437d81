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
"""SUMO's lane change mode: no changes but those that it is told, minding only the bodies of others."""

NORMAL_MODE = 1621
LASTS_S = 6.0
LEAST_GAP_M = 4.5
TIGHT_S = 1.1
"""Who moves in leaves the car little more than this, from its front to their rear."""

PATIENCE_S = 4.0
WIDE_GAP_M = 15.0
"""After a while this has to do."""

SIGHT_M = 60.0
COURTING_S = 15.0
"""Who is farther ahead is slowed down a little until the car has caught up, for no longer than this."""

SLOWER = 2.5
LEAST_SPEED = 5.0


@dataclass(slots=True, kw_only=True)
class _CutIn:
    ego: str
    name: str
    begun: float
    moved: float | None = None
    place: tuple[float, float] = (0.0, 0.0)


class CutInScript:
    """Picks somebody ahead in the next lane for each chosen car, waits until the gap is short, and has it change over."""

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self._chosen = Chosen(rng, share)
        self._running: list[_CutIn] = []
        self._told: list[Happening] = []

    def step(self, sumo: Any, streets: Streets, reins: Reins) -> None:
        """Like other scripts, but changing lanes is asked of SUMO itself."""
        busy = {act.ego for act in self._running}
        for ego in self._chosen.update(streets):
            other = self._candidate(streets, ego, reins) if ego.name not in busy else None
            if other is not None and reins.cast(other):
                busy.add(ego.name)
                _set_mode(sumo, (ego, other), AVOID_COLLISIONS_ONLY)
                self._running.append(_CutIn(ego=ego.name, name=other.name, begun=streets.time))
        self._running = [act for act in self._running if self._act(act, sumo, streets, reins)]

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        """Only of those who did change over."""
        return tuple(self._told)

    def _act(self, act: _CutIn, sumo: Any, streets: Streets, reins: Reins) -> bool:
        """One step of one of them; whether it goes on."""
        ego, other = streets.cars.get(act.ego), streets.cars.get(act.name)
        if other is None:
            _set_mode(sumo, (ego,), NORMAL_MODE)
            return False
        if act.moved is not None:
            return self._finish(act, sumo, ego, other, streets.time, reins)
        is_on = ego is not None and streets.time < act.begun + COURTING_S and _are_neighbours(ego, other)
        gap = other.tail - ego.position if ego is not None else 0.0
        if ego is None or not is_on or gap < LEAST_GAP_M or not _is_clear(streets, ego, other):
            _set_mode(sumo, (ego, other), NORMAL_MODE)
            return False
        # Some do not close up: on the right of somebody one does not overtake.
        tight = TIGHT_S * ego.speed if streets.time < act.begun + PATIENCE_S else WIDE_GAP_M
        if gap > tight or not -1.5 < ego.speed - other.speed < SLOWER + 0.5:
            _slow_down(other, ego.speed - SLOWER, reins)
            return True
        sumo.vehicle.changeLane(other.name, int(ego.lane.rsplit("_", 1)[1]), LASTS_S)
        act.moved, act.place = streets.time, other.place
        return True

    def _finish(self, act: _CutIn, sumo: Any, ego: Car | None, other: Car, time: float, reins: Reins) -> bool:
        begun = act.moved or 0.0
        is_in = ego is not None and ego.lane == other.lane and other.tail > ego.position
        if is_in:
            first, last = begun - 0.5, time + 3.0
            self._told.append(
                Happening(kind=EventKind.CUT_IN, tokens=(other.name,), first_s=first, last_s=last, place=act.place)
            )
            self._chosen.done(act.ego)
        if is_in or time > begun + LASTS_S:
            _set_mode(sumo, (ego, other), NORMAL_MODE)
            return False
        if ego is not None:
            _slow_down(other, ego.speed, reins)
        return True

    def _candidate(self, streets: Streets, ego: Car, reins: Reins) -> Car | None:
        """Somebody ahead in a neighbouring lane, with nobody in between."""
        if ego.edge_id.startswith(":") or ego.speed < LEAST_SPEED + 1.0 or reins.is_held(ego.name):
            return None
        for other in reversed(streets.on_edge(ego.edge_id)):
            gap = other.tail - ego.position
            if not LEAST_GAP_M < gap < SIGHT_M or not _are_neighbours(ego, other):
                continue
            is_fit = other.may_act and other.speed > LEAST_SPEED
            if is_fit and _is_clear(streets, ego, other):
                return other
        return None


def _set_mode(sumo: Any, cars: tuple[Car | None, ...], mode: int) -> None:
    for car in cars:
        if car is not None:
            sumo.vehicle.setLaneChangeMode(car.name, mode)


def _slow_down(car: Car, speed: float, reins: Reins) -> None:
    """Gently, and never to a crawl."""
    reins.hold(car, max(LEAST_SPEED, speed, car.speed - 1.5 * reins.interval_s))


def _are_neighbours(ego: Car, other: Car) -> bool:
    return ego.edge_id == other.edge_id and abs(int(ego.lane.rsplit("_", 1)[1]) - int(other.lane.rsplit("_", 1)[1])) == 1


def _is_clear(streets: Streets, ego: Car, other: Car) -> bool:
    """Whether the car's own leader leaves room for somebody else."""
    leader = streets.leader(ego)
    return leader is None or leader.tail > other.position + 4.0
