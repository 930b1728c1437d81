"""A street with one lane each way and vehicles that do nothing but obey the reins, to try scripts without SUMO."""

from dataclasses import replace

from diffdrive.world.traffic.events.profiles import speed_towards
from diffdrive.world.traffic.events.sites import Gate
from diffdrive.world.traffic.events.streets import Car, Reins, Streets

DT = 0.1
LENGTH_M = 200.0
ACCELERATION = 1.8


def gate(edge_id: str, stop_m: float, end_m: float) -> Gate:
    return Gate(edge_id=edge_id, feeder_edge_ids=(), junction="", stop_m=stop_m, end_m=end_m, length_m=LENGTH_M)


def car(name: str, edge_id: str, position: float, speed: float, type_name: str = "ego") -> Car:
    return Car(
        name=name,
        type_name=type_name,
        edge_id=edge_id,
        lane=f"{edge_id}_0",
        position=position,
        speed=speed,
        length=5.0,
        next_edge_id="",
        place=(position, 0.0),
    )


class Kept(Reins):
    """Reins whose limits can be read instead of being sent to SUMO."""

    def take(self) -> dict[str, float]:
        caps, self._caps = dict(self._caps), {}
        return caps


def advance(cars: list[Car], caps: dict[str, float], top_speed: float) -> list[Car]:
    """One step: everybody speeds up unless held back, behind whoever is in front; who leaves the street is gone."""
    moved: list[Car] = []
    for one in sorted(cars, key=lambda c: (c.edge_id, -c.position)):
        speed = min(one.speed + ACCELERATION * DT, top_speed, max(caps.get(one.name, top_speed), 0.0))
        front = moved[-1] if moved and moved[-1].edge_id == one.edge_id else None
        if front is not None:
            # As far as the one in front would still roll, braking as hard.
            room = front.tail - 2.0 - one.position + front.speed**2 / 4.0
            speed = min(speed, speed_towards(room, 2.0, DT))
        moved.append(replace(one, speed=speed, position=one.position + speed * DT))
    return [one for one in moved if one.position < LENGTH_M]


def streets(time: float, cars: list[Car]) -> Streets:
    return Streets(None, time, cars)
