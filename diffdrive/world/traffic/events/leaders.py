"""The car in front brakes for nothing that one could see, or cannot make up its mind how fast to drive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffdrive.world.events import EventKind
from diffdrive.world.traffic.events.story import Happening
from diffdrive.world.traffic.events.streets import Car, Reins, Streets


class Chosen:
    """Draws for each vehicle with the ego's body, when it appears, whether and from when on it may see one event of a kind."""

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self._rng, self._share = rng, share
        self._known: set[str] = set()
        self.armed: dict[str, float] = {}

    def update(self, streets: Streets) -> list[Car]:
        """Who is ready now."""
        for name, car in streets.cars.items():
            if car.is_ego and name not in self._known:
                self._known.add(name)
                chance, delay = self._rng.random(2).tolist()
                if chance < self._share:
                    self.armed[name] = streets.time + 2.0 + 20.0 * delay
        return [streets.cars[name] for name, time in self.armed.items() if name in streets.cars and time <= streets.time]

    def done(self, name: str) -> None:
        """It has seen its event."""
        self.armed.pop(name, None)


@dataclass(slots=True, kw_only=True)
class _Braking:
    leader: str
    deceleration: float
    low: float
    wait: float
    begun: float
    place: tuple[float, float]
    stopped: float | None = None


class HardBrakeScript:
    """A leader brakes to almost nothing, waits, and goes on."""

    GAP_M = (9.0, 35.0)

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self._rng, self._chosen = rng, Chosen(rng, share)
        self._running: list[_Braking] = []
        self._told: list[Happening] = []

    def step(self, streets: Streets, reins: Reins) -> None:
        for ego in self._chosen.update(streets):
            leader = streets.leader(ego)
            if leader is None or not leader.may_act or ego.edge_id.startswith(":"):
                continue
            if reins.is_held(ego.name):
                continue
            gap = leader.tail - ego.position
            # Closer than a second and a bit behind, the follower could not keep its braking firm.
            is_apt = min(leader.speed, ego.speed) > 5.0 and max(self.GAP_M[0], 1.2 * ego.speed) < gap < self.GAP_M[1]
            if is_apt and reins.cast(leader):
                self._chosen.done(ego.name)
                self._running.append(self._begin(leader, streets.time))
        for act in list(self._running):
            if act.leader not in streets.cars or not self._act(act, streets.cars[act.leader], streets.time, reins):
                self._running.remove(act)
                self._tell(act, streets.time)

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        for act in self._running:
            self._tell(act, end_s)
        return tuple(self._told)

    def _begin(self, leader: Car, time: float) -> _Braking:
        return _Braking(
            leader=leader.name,
            deceleration=float(self._rng.uniform(4.0, 5.5)),
            low=float(self._rng.uniform(0.2, 1.5)),
            wait=float(self._rng.uniform(0.5, 2.0)),
            begun=time,
            place=leader.place,
        )

    def _act(self, act: _Braking, car: Car, time: float, reins: Reins) -> bool:
        if act.stopped is None and car.speed <= act.low + 0.05:
            act.stopped = time
        if act.stopped is not None and time > act.stopped + act.wait:
            return False
        reins.hold(car, max(act.low, car.speed - act.deceleration * reins.interval_s), is_harsh=True)
        return True

    def _tell(self, act: _Braking, time: float) -> None:
        self._told.append(
            Happening(kind=EventKind.HARD_BRAKE, tokens=(act.leader,), first_s=act.begun, last_s=time + 2.0, place=act.place)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wave:
    leader: str
    begun: float
    lasts: float
    low: float
    high: float
    place: tuple[float, float]

    def speed(self, time: float) -> float:
        """Between high and low and back, with at most 2 m/s^2."""
        period = math.pi * (self.high - self.low) / 2.0
        return self.low + (self.high - self.low) * 0.5 * (1.0 + math.cos(2.0 * math.pi * (time - self.begun) / period))


class StopAndGoScript:
    """A leader on a fast street slows down to a walk and speeds up, again and again, with others behind it."""

    FAST = 8.0
    GAP_M = 40.0

    def __init__(self, rng: np.random.Generator, share: float) -> None:
        self._rng, self._chosen = rng, Chosen(rng, share)
        self._running: list[_Wave] = []
        self._told: list[Happening] = []

    def step(self, streets: Streets, reins: Reins) -> None:
        for ego in self._chosen.update(streets):
            leader = streets.leader(ego)
            if leader is None or not leader.may_act or ego.edge_id.startswith(":"):
                continue
            is_apt = min(leader.speed, ego.speed) > self.FAST and leader.tail - ego.position < self.GAP_M
            if is_apt and reins.cast(leader):
                self._chosen.done(ego.name)
                self._running.append(self._begin(leader, streets.time))
        for wave in list(self._running):
            if wave.leader not in streets.cars or streets.time > wave.begun + wave.lasts:
                self._running.remove(wave)
                self._tell(wave, streets.time)
                continue
            reins.hold(streets.cars[wave.leader], wave.speed(streets.time))

    def happenings(self, end_s: float) -> tuple[Happening, ...]:
        for wave in self._running:
            self._tell(wave, end_s)
        return tuple(self._told)

    def _begin(self, leader: Car, time: float) -> _Wave:
        return _Wave(
            leader=leader.name,
            begun=time,
            lasts=float(self._rng.uniform(20.0, 40.0)),
            low=float(self._rng.uniform(1.0, 3.0)),
            high=leader.speed,
            place=leader.place,
        )

    def _tell(self, wave: _Wave, time: float) -> None:
        self._told.append(
            Happening(kind=EventKind.STOP_AND_GO, tokens=(wave.leader,), first_s=wave.begun, last_s=time, place=wave.place)
        )
