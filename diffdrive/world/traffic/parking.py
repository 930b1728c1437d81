"""Cars that stand in the parking strips: nobody simulates them, everybody sees them."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import Polyline
from diffdrive.scene import AgentKind
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic.demand import ROAD_USERS
from diffdrive.world.traffic.recording import Track

SPACE_M = 6.4
CLEAR_OF_JUNCTION_M = 10.0
PARKED_TYPES = ("sedan", "suv", "sporty")


def parked_cars(network: RoadNetwork, seed: int, occupancy: float, steps: int) -> tuple[Track, ...]:
    """Tracks that do not move. ``occupancy`` is the share of spaces that are taken; the same seed parks the same cars."""
    rng = np.random.default_rng([seed, 3])
    cars: list[Track] = []
    for approach in network.approaches.values():
        if approach.parking_strip is None:
            continue
        strip = Polyline(approach.parking_strip)
        for arc in np.arange(CLEAR_OF_JUNCTION_M, strip.length - CLEAR_OF_JUNCTION_M, SPACE_M):
            name = PARKED_TYPES[rng.choice(len(PARKED_TYPES), p=[0.6, 0.25, 0.15])]
            along, across, turn = rng.uniform(-0.5, 0.5), rng.uniform(-0.12, 0.12), rng.normal(0.0, 0.012)
            if rng.random() > occupancy:
                continue
            pose = strip.interpolate(arc + along) + [0.0, 0.0, turn]
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
