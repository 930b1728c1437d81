"""Who stands where all the time: cars in the parking strips. Nobody simulates them, everybody sees them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scene import AgentKind
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic.recording import Track
from diffdrive.world.traffic.road_users import PARKED, ROAD_USERS

EMPTY_SPACE_M = 5.8
GAPS_M = (0.7, 1.5)
"""Between the bumpers of neighbours, least and greatest."""

CLEAR_OF_JUNCTION_M = 14.0
MAX_BEND = 0.12
"""Of the street within ``BEND_REACH_M`` of a space, rad: in a sharper one a parked car is straight ahead of who drives by."""

BEND_REACH_M = 12.0


def parked_cars(network: RoadNetwork, seed: int, occupancy: float, steps: int) -> tuple[Track, ...]:
    """Tracks that do not move. ``occupancy`` is the share of spaces that are taken; the same seed parks the same cars."""
    rng = np.random.default_rng([seed, 3])
    cars: list[Track] = []
    for approach in network.approaches.values():
        if approach.parking_strip is None or not approach.is_trip_end:
            continue
        strip = Polyline(approach.parking_strip)
        for name, arc in _row(strip.length, occupancy, rng):
            if _bend(strip, arc) > MAX_BEND:
                continue
            across, turn = rng.uniform(-0.1, 0.1), rng.normal(0.0, 0.012)
            pose = strip.interpolate(arc) + [0.0, 0.0, turn]
            pose[:2] += across * np.array([-np.sin(pose[2]), np.cos(pose[2])])
            user = ROAD_USERS[name]
            cars.append(
                Track(
                    token=f"s{len(cars)}",
                    type_name=name,
                    kind=AgentKind.VEHICLE,
                    first_step=0,
                    poses=np.broadcast_to(pose, (steps, 3)),
                    size=(user.length, user.width, user.height),
                )
            )
    return tuple(cars)


def _row(length_m: float, occupancy: float, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Bodies along one strip and how far along it their middles are."""
    names, shares = list(PARKED), np.array(list(PARKED.values()))
    front = CLEAR_OF_JUNCTION_M
    while True:
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        body = ROAD_USERS[name].length
        is_taken, gap = rng.random() < occupancy, rng.uniform(*GAPS_M)
        if front + body > length_m - CLEAR_OF_JUNCTION_M:
            return
        if is_taken:
            yield name, front + body / 2
        front += gap + (body if is_taken else EMPTY_SPACE_M)


def _bend(strip: Polyline, arc: float) -> float:
    around = strip.interpolate(np.array([arc - BEND_REACH_M, arc, arc + BEND_REACH_M]))[:, 2]
    return float(np.abs(wrap_angle(around - around[1])).max())
