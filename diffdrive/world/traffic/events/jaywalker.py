"""Somebody crosses in mid-block, or seems about to, while a car comes."""

from __future__ import annotations

import enum
import math

import numpy as np

from diffdrive.world.events import EventKind
from diffdrive.world.traffic.events.profiles import Walk, needed_deceleration, speed_towards
from diffdrive.world.traffic.events.sites import Crossing
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.events.streets import Car, Reins, Streets

HORIZON_M = 80.0
GENTLE, FIRM = 1.5, 2.35
"""Deceleration of who yields: at least, at most."""

REST_S = 12.0
"""Nobody sets out again before."""

WAIT_S = 7.0
"""How long somebody stays at the brink."""


class Mood(enum.Enum):
    """What somebody on the kerb will do next."""

    TIGHT = "step out so that the car has to brake"
    EARLY = "cross well ahead of the car"
    WAIT = "step up to the brink and let the car pass"


class JaywalkerScript:
    """One person, to and fro all day."""

    def __init__(self, site: Crossing) -> None:
        self.site = site
        self._rng = np.random.default_rng(site.seed)
        self._start, self._end = np.array(site.start), np.array(site.end)
        self._width = float(np.hypot(*(self._end - self._start)))
        self._is_over = False
        self._mood = self._draw()
        self._walk = Walk(speed=site.speed)
        self._since: float | None = None
        self._free_at = REST_S
        self._passing: set[str] = set()
        self._braking: dict[str, float] = {}
        self._told: list[tuple[float, float]] = []

    def step(self, streets: Streets, reins: Reins) -> None:
        if self._since is None:
            if streets.time >= self._free_at:
                self._look(streets)
        elif streets.time >= self._since + self._duration():
            self._arrive(streets.time)
        if self._since is not None and self._mood is not Mood.WAIT:
            self._stop_others(streets, reins, streets.time - self._since)

    def pose(self, time: float) -> tuple[float, float, float]:
        """Place and heading (radians), world frame."""
        walked, ahead = self._walked(time)
        share = walked / self._width
        here = self._start + share * (self._end - self._start)
        if self._is_over:
            here = self._end + share * (self._start - self._end)
        along = (self._end - self._start) * (-1.0 if self._is_over else 1.0)
        return float(here[0]), float(here[1]), math.atan2(along[1], along[0]) + (0.0 if ahead else math.pi)

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        told = [*self._told, *([(self._since, end_s)] if self._since is not None else [])]
        place = tuple((0.5 * (self._start + self._end)).tolist())
        return tuple(
            Happening(
                kind=EventKind.JAYWALKER,
                tokens=(self.site.token,),
                first_s=first,
                last_s=min(last, end_s),
                place=(place[0], place[1]),
            )
            for first, last in told
        )

    def _draw(self) -> Mood:
        return list(Mood)[self._rng.choice(3, p=[0.6, 0.2, 0.2])]

    def _walked(self, time: float) -> tuple[float, bool]:
        """Metres from where they stood, and whether they face the road."""
        if self._since is None:
            return 0.0, True
        elapsed = time - self._since
        if self._mood is not Mood.WAIT:
            return min(self._walk.distance(elapsed), self._width), True
        there = self._walk.time(self.site.brink_m)
        if elapsed <= there + WAIT_S:
            return min(self._walk.distance(elapsed), self.site.brink_m), True
        return self.site.brink_m - min(self._walk.distance(elapsed - there - WAIT_S), self.site.brink_m), False

    def _duration(self) -> float:
        if self._mood is Mood.WAIT:
            return 2.0 * self._walk.time(self.site.brink_m) + WAIT_S
        return self._walk.time(self._width)

    def _arrive(self, time: float) -> None:
        self._told.append((float(self._since or 0.0), time))
        self._is_over = self._is_over != (self._mood is not Mood.WAIT)
        self._since, self._mood, self._free_at = None, self._draw(), time + REST_S
        self._passing, self._braking = set(), {}

    def _times(self, direction: int) -> tuple[float, float]:
        """Seconds after setting out at which they enter and leave the lanes of one direction."""
        near, far = self.site.spans[direction]
        if self._is_over:
            near, far = self._width - far, self._width - near
        return self._walk.time(near), self._walk.time(far)

    def _look(self, streets: Streets) -> None:
        """Set out if a car with the ego's body comes at the right moment, and nobody would have to brake hard."""
        passing: set[str] = set()
        is_moment = False
        for direction, gate in enumerate(self.site.gates):
            enter, leave = self._times(direction)
            ahead = gate.end_m - gate.stop_m
            for distance, car in self._everybody(streets, direction):
                arrival = (distance + ahead) / max(car.speed, 0.1)
                is_past = car.speed > 3.0 and (distance + ahead + car.length + 1.0) / car.speed < enter - 0.5
                needed = needed_deceleration(car.speed, distance)
                if is_past and self._mood is not Mood.WAIT:
                    passing.add(car.name)
                elif needed > FIRM and self._mood is not Mood.WAIT:
                    return
                if car.is_ego and car.speed > 4.0 and not is_past:
                    is_moment |= self._is_moment(arrival, enter, leave, needed)
        if is_moment and (self._mood is Mood.WAIT or not self._is_jammed(streets)):
            self._since, self._passing = streets.time, passing

    def _everybody(self, streets: Streets, direction: int) -> list[tuple[float, Car]]:
        """All whose rear has not passed the crossing line, with the metres from front bumper to the stop line."""
        gate = self.site.gates[direction]
        over = [(gate.stop_m - c.position, c) for c in streets.on_edge(gate.edge_id) if c.position >= gate.stop_m]
        return [*((d, c) for d, c in over if c.tail < gate.end_m + 1.0), *streets.approaching(gate, HORIZON_M)]

    def _is_moment(self, arrival: float, enter: float, leave: float, needed: float) -> bool:
        if self._mood is Mood.TIGHT:
            return enter - 0.6 < arrival < leave + 0.3 and 0.8 < needed <= FIRM
        if self._mood is Mood.EARLY:
            return leave + 0.5 < arrival < leave + 2.5
        return 1.5 < arrival < 4.0

    def _is_jammed(self, streets: Streets) -> bool:
        """Whether somebody who passes now would come to stand on the line."""
        return any(
            gate.end_m - 2.0 < car.position < gate.end_m + 18.0 and car.speed < 3.0
            for gate in self.site.gates
            for car in streets.on_edge(gate.edge_id)
        )

    def _stop_others(self, streets: Streets, reins: Reins, elapsed: float) -> None:
        for direction, gate in enumerate(self.site.gates):
            if elapsed > self._times(direction)[1]:
                continue
            for distance, car in self._everybody(streets, direction):
                if car.name in self._passing or (car.edge_id == gate.edge_id and car.position > gate.end_m - 0.8):
                    continue
                needed = needed_deceleration(car.speed, distance)
                braking = self._braking.setdefault(car.name, min(max(GENTLE, needed), FIRM + 0.2))
                reins.hold(car, speed_towards(distance, braking, reins.interval_s), is_harsh=True)
