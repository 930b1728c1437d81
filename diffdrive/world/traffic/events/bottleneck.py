"""One lane for two directions: who may go round an obstacle, and when."""

from __future__ import annotations

from itertools import pairwise

from diffdrive.world.traffic.events.profiles import needed_deceleration, speed_towards
from diffdrive.world.traffic.events.sites import Bottleneck
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.events.streets import Car, Reins, Streets

HORIZON_M = 50.0
PASS_SPEED = 6.5
GENTLE = 1.6
FIRM = 2.1
"""Whoever would have to brake harder than this for the line does not brake for it."""

HARD = 3.0
"""Nobody brakes harder than this, even if it takes them a little over the line."""

SHORT_M = 0.8
"""One aims this far before the line, so that nobody rolls over it by an inch and counts as passing."""

LINE_UP_M = 25.0
"""From this far before the line on nobody drives beside anybody."""

FILE_GAP_M = 1.5
GAP_M = 3.0
"""Between vehicles that stand in a queue, about."""

AHEAD, ONCOMING = 0, 1
MAX_OPEN_S = (10.0, 14.0)
"""How long a direction keeps the lane while the other one waits; those who need not leave their lane a little longer."""


class Reservation:
    """Who has the shared lane: one direction, or nobody while the last ones leave it."""

    def __init__(self) -> None:
        self.open: int | None = ONCOMING
        self._next = ONCOMING
        self._since = 0.0

    def update(self, time: float, waiting: tuple[bool, bool], inside: tuple[bool, bool]) -> None:
        """``waiting``: whether somebody comes to the line of each direction; ``inside``: whether somebody is past it."""
        if self.open is not None:
            other = 1 - self.open
            is_over = not waiting[self.open] or time - self._since > MAX_OPEN_S[self.open]
            if waiting[other] and is_over:
                self.open, self._next = None, other
        if self.open is None and not inside[1 - self._next]:
            self.open, self._since = self._next, time


class BottleneckScript:
    """Lets both directions of a blocked street take turns."""

    def __init__(self, site: Bottleneck) -> None:
        self.site = site
        self._gates = (site.ahead, site.oncoming)
        self._reservation = Reservation()
        self._inside: tuple[set[str], set[str]] = (set(), set())
        self._passed: set[str] = set()

    def step(self, streets: Streets, reins: Reins) -> None:
        coming = [streets.approaching(gate, HORIZON_M) for gate in self._gates]
        for side, gate in enumerate(self._gates):
            past = {c.name for c in streets.on_edge(gate.edge_id) if c.position >= gate.stop_m and c.tail < gate.end_m}
            self._inside[side].intersection_update(car.name for _, car in coming[side])
            self._inside[side].update(past)
        rooms = self._rooms(streets, [car for _, car in coming[AHEAD]])
        waiting = (bool(rooms) and rooms[0], bool(coming[ONCOMING]))
        self._reservation.update(streets.time, waiting, (bool(self._inside[AHEAD]), bool(self._inside[ONCOMING])))
        for side in (AHEAD, ONCOMING):
            for k, (distance, car) in enumerate(coming[side]):
                self._receive(side, distance, car, reins, side == ONCOMING or rooms[k])
        self._passed |= self._inside[AHEAD]
        self._line_up(streets, reins)
        for car in streets.on_edge(self.site.ahead.edge_id):
            if self.site.ahead.stop_m <= car.position and car.tail < self.site.ahead.end_m - 8.0:
                reins.hold(car, PASS_SPEED)

    def _line_up(self, streets: Streets, reins: Reins) -> None:
        """One behind the other: a car and a bicycle fit side by side in a lane, but not beside an obstacle."""
        gate = self.site.ahead
        near = [c for c in streets.on_edge(gate.edge_id) if gate.stop_m - LINE_UP_M < c.position and c.tail < gate.end_m]
        for front, back in pairwise(near):
            room = front.tail - back.position - FILE_GAP_M
            limit = speed_towards(room, GENTLE, reins.interval_s, front.speed) if room > 0.0 else front.speed - 1.0 + room / 2.0
            reins.hold(back, max(limit, back.speed - FIRM * reins.interval_s))

    def _receive(self, side: int, distance: float, car: Car, reins: Reins, has_room: bool) -> None:
        """Somebody comes to the line: in, or wait."""
        is_open = self._reservation.open == side and has_room
        if car.name in self._inside[side] or needed_deceleration(car.speed, distance) > FIRM:
            self._inside[side].add(car.name)
        elif not is_open:
            short = distance - SHORT_M
            braking = min(max(GENTLE, needed_deceleration(car.speed, short)), HARD)
            reins.hold(car, speed_towards(short, braking, reins.interval_s), is_harsh=True)
        if side == AHEAD:
            slowing = max(GENTLE, needed_deceleration(car.speed, distance, PASS_SPEED))
            reins.hold(car, speed_towards(distance, slowing, reins.interval_s, PASS_SPEED))

    def _rooms(self, streets: Streets, coming: list[Car]) -> list[bool]:
        """For each who comes, the nearest first: whether there is a place between obstacle and junction for all up to it."""
        gate = self.site.ahead
        room = gate.length_m - gate.end_m
        room -= sum(car.length + GAP_M for car in streets.on_edge(gate.edge_id) if car.position > gate.stop_m)
        rooms = []
        for car in coming:
            room -= car.length + GAP_M
            rooms.append(room >= 0.0)
        return rooms

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        """One, from beginning to end, if anybody had to go round."""
        if not self._passed:
            return ()
        return (
            Happening(
                kind=self.site.kind, tokens=self.site.tokens, first_s=0.0, last_s=end_s, place=self.site.props[0].pose[:2]
            ),
        )
