"""Who wants to go where: a seed becomes SUMO's list of trips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind
from diffdrive.vehicle import PACIFICA
from diffdrive.world.roads import RoadNetwork

EGO_TYPE = "ego"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficConfig:
    """How busy the town is. Intervals are means of exponential waiting times, seconds, for a kilometre of street."""

    duration_s: float = 170.0
    warm_up_s: float = 40.0
    """The first seconds, in which the streets fill, are not used."""

    car_interval_s: float = 7.5
    bicycle_interval_s: float = 45.0
    walker_interval_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up_s < self.duration_s:
            raise InputError(
                f"TrafficConfig.warm_up_s must lie within duration_s, got {self.warm_up_s} of {self.duration_s} seconds."
            )
        for name in ("car_interval_s", "bicycle_interval_s", "walker_interval_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"TrafficConfig.{name} must be positive seconds, got {getattr(self, name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadUser:
    """Body and manner of one kind of road user."""

    share: float
    """Of all cars; unused for bicycles and walkers."""

    kind: AgentKind
    length: float
    width: float
    height: float
    sumo: str
    """Attributes of SUMO's vType beyond the body."""


# By default SUMO slides standing cars sideways, which no car can do.
_STEADY = 'lcMaxSpeedLatStanding="0" lcMaxSpeedLatFactor="0.2"'


def _car(length: float, width: float, height: float, share: float, sumo: str) -> RoadUser:
    text = f"{sumo} {_STEADY}"
    return RoadUser(share=share, kind=AgentKind.VEHICLE, length=length, width=width, height=height, sumo=text)


ROAD_USERS: dict[str, RoadUser] = {
    EGO_TYPE: _car(
        PACIFICA.length,
        PACIFICA.width,
        PACIFICA.height,
        0.35,
        'vClass="passenger" minGap="2.5" accel="1.8" decel="2.6" emergencyDecel="8" sigma="0.1" tau="1.4" '
        'speedFactor="normc(0.95,0.1,0.75,1.15)"',
    ),
    "sedan": _car(
        4.7,
        1.85,
        1.5,
        0.30,
        'vClass="passenger" minGap="2.2" accel="2.0" decel="2.8" emergencyDecel="8" sigma="0.15" tau="1.3" '
        'speedFactor="normc(1.0,0.12,0.75,1.25)"',
    ),
    "suv": _car(
        5.0,
        2.0,
        1.85,
        0.15,
        'vClass="passenger" minGap="2.5" accel="1.8" decel="2.8" emergencyDecel="8" sigma="0.15" tau="1.4" '
        'speedFactor="normc(0.97,0.1,0.75,1.2)"',
    ),
    "sporty": _car(
        4.5,
        1.85,
        1.4,
        0.10,
        'vClass="passenger" minGap="1.8" accel="2.3" decel="3.2" emergencyDecel="8" sigma="0.1" tau="1.0" '
        'speedFactor="normc(1.1,0.1,0.9,1.35)"',
    ),
    "truck": _car(
        8.5,
        2.45,
        3.2,
        0.06,
        'vClass="truck" minGap="2.8" accel="1.2" decel="3.0" emergencyDecel="6" sigma="0.2" tau="1.6" '
        'speedFactor="normc(0.9,0.08,0.7,1.0)"',
    ),
    "bus": _car(
        11.5,
        2.55,
        3.3,
        0.04,
        'vClass="bus" minGap="2.8" accel="1.1" decel="2.8" emergencyDecel="6" sigma="0.2" tau="1.6" '
        'speedFactor="normc(0.88,0.08,0.7,1.0)"',
    ),
    "bicycle": RoadUser(
        share=0.0,
        kind=AgentKind.BICYCLE,
        length=1.8,
        width=0.65,
        height=1.7,
        sumo='vClass="bicycle" minGap="0.8" accel="1.0" decel="2.5" sigma="0.3" maxSpeed="6.0" '
        f'speedFactor="normc(0.9,0.15,0.5,1.2)" {_STEADY}',
    ),
    "walker": RoadUser(
        share=0.0,
        kind=AgentKind.PEDESTRIAN,
        length=0.5,
        width=0.6,
        height=1.72,
        sumo='vClass="pedestrian" speedFactor="normc(1,0.2,0.6,1.5)"',
    ),
}


def demand_xml(network: RoadNetwork, seed: int, config: TrafficConfig) -> str:
    """SUMO's route file: types, and trips in order of departure. The same arguments give the same text."""
    rng = np.random.default_rng([seed, 2])
    kilometres = sum(approach.length for approach in network.approaches.values()) / 1000.0
    trips = [
        *_car_trips(network, rng, config, config.car_interval_s / kilometres),
        *_bicycle_trips(network, rng, config, config.bicycle_interval_s / kilometres),
        *_walks(network, rng, config, config.walker_interval_s / kilometres),
    ]
    lines = [text for _, text in sorted(trips, key=lambda trip: trip[0])]
    cars = [_type_xml(name, user) for name, user in ROAD_USERS.items() if user.share > 0]
    others = [_type_xml(name, user) for name, user in ROAD_USERS.items() if not user.share > 0]
    types = ['<vTypeDistribution id="cars">', *cars, "</vTypeDistribution>", *others]
    return "\n".join(["<routes>", *types, *lines, "</routes>", ""])


def _type_xml(name: str, user: RoadUser) -> str:
    share = f'probability="{user.share}" ' if user.share > 0 else ""
    return f'<vType id="{name}" {share}length="{user.length}" width="{user.width}" height="{user.height}" {user.sumo}/>'


def _departures(rng: np.random.Generator, config: TrafficConfig, interval_s: float) -> list[float]:
    """Times of a Poisson process that is three times as dense while the streets fill."""
    times, now = [], 0.0
    while now < config.duration_s:
        times.append(now)
        now += rng.exponential(interval_s if now > config.warm_up_s / 2 else interval_s / 3)
    return times


def _car_trips(
    network: RoadNetwork, rng: np.random.Generator, config: TrafficConfig, interval_s: float
) -> list[tuple[float, str]]:
    edges = list(network.approaches.values())
    weight = np.array([len(edge.lane_ids) * edge.length for edge in edges])
    trips = []
    for number, time in enumerate(_departures(rng, config, interval_s)):
        start, end = (edges[k].edge_id for k in rng.choice(len(edges), 2, replace=False, p=weight / weight.sum()))
        text = (
            f'<trip id="v{number}" type="cars" depart="{time:.1f}" from="{start}" to="{end}" '
            'departLane="best" departSpeed="max" departPos="random_free"/>'
        )
        trips.append((time, text))
    return trips


def _bicycle_trips(
    network: RoadNetwork, rng: np.random.Generator, config: TrafficConfig, interval_s: float
) -> list[tuple[float, str]]:
    edges = list(network.approaches.values())
    trips = []
    for number, time in enumerate(_departures(rng, config, interval_s)):
        start, end = (edges[k].edge_id for k in rng.choice(len(edges), 2, replace=False))
        text = (
            f'<trip id="b{number}" type="bicycle" depart="{time:.1f}" from="{start}" to="{end}" '
            'departSpeed="max" departPos="random_free"/>'
        )
        trips.append((time, text))
    return trips


def _walks(network: RoadNetwork, rng: np.random.Generator, config: TrafficConfig, interval_s: float) -> list[tuple[float, str]]:
    edges = list(network.approaches.values())
    walks = []
    for number, time in enumerate(_departures(rng, config, interval_s)):
        start = edges[rng.integers(len(edges))]
        end = start.walk_edge_ids[rng.integers(len(start.walk_edge_ids))]
        position = rng.uniform(0.0, start.length)
        text = (
            f'<person id="p{number}" type="walker" depart="{time:.1f}" departPos="{position:.1f}">'
            f'<personTrip from="{start.edge_id}" to="{end}"/></person>'
        )
        walks.append((time, text))
    return walks
