"""Who wants to go where: a seed becomes SUMO's list of trips.

A town's population is fixed. Everybody sets out while the streets fill and has more errands than a run is long, so that
nobody appears or vanishes in mid-street in the seconds that are used.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.world.roads import Approach, RoadNetwork
from diffdrive.world.traffic.cycling import cycling_streets
from diffdrive.world.traffic.road_users import CYCLISTS, DRIVERS, ROAD_USERS, WALKERS, RoadUser

FILLING_SHARE = 0.7
"""Part of the warm-up in which everybody sets out."""

WALKING_SPEED = 1.7
"""Nobody's errands on foot are done sooner than at this pace, m/s."""

GROUP_SHARES = {1: 0.55, 2: 0.28, 3: 0.12, 4: 0.05}
"""How many people walk together."""


class DemandLevel(enum.Enum):
    """How busy a town is."""

    QUIET = "quiet"
    NORMAL = "normal"
    BUSY = "busy"


CAR_FACTORS = {DemandLevel.QUIET: 0.5, DemandLevel.NORMAL: 1.0, DemandLevel.BUSY: 1.2}
"""Of the number of cars. More than this, and whole towns come to a halt."""

WALKER_FACTORS = {DemandLevel.QUIET: 0.4, DemandLevel.NORMAL: 1.0, DemandLevel.BUSY: 1.6}
"""Of the numbers of people on foot and on bicycles."""

OCCUPANCY_FACTORS = {DemandLevel.QUIET: 0.7, DemandLevel.NORMAL: 1.3, DemandLevel.BUSY: 1.8}
"""Of the share of parking spaces that are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficConfig:
    """How long a town is simulated, and how busy it is. Numbers of road users are those of a normal town."""

    duration_s: float = 170.0
    warm_up_s: float = 40.0
    """The first seconds, in which the streets fill, are not used."""

    cars_per_lane_km: float = 11.5
    """Everybody who shares the driving lanes, motorcycles to buses."""

    bicycles_per_km: float = 4.0
    """Of one direction of a street."""

    walkers_per_km: float = 56.0
    """Likewise."""

    quiet_share: float = 0.2
    """Share of the towns that are quiet."""

    busy_share: float = 0.45

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up_s < self.duration_s:
            raise InputError(
                f"TrafficConfig.warm_up_s must lie within duration_s, got {self.warm_up_s} of {self.duration_s} seconds."
            )
        for name in ("cars_per_lane_km", "bicycles_per_km", "walkers_per_km"):
            if not getattr(self, name) >= 0:
                raise InputError(f"TrafficConfig.{name} must not be negative, got {getattr(self, name)}.")
        if not (self.quiet_share >= 0 and self.busy_share >= 0 and self.quiet_share + self.busy_share <= 1):
            raise InputError(
                "TrafficConfig.quiet_share and busy_share are shares that add up to one at most, "
                f"got {self.quiet_share} and {self.busy_share}."
            )


def demand_level(seed: int, config: TrafficConfig) -> DemandLevel:
    """How busy the town of a seed is."""
    draw = np.random.default_rng([seed, 5]).random()
    if draw < config.quiet_share:
        return DemandLevel.QUIET
    return DemandLevel.BUSY if draw >= 1.0 - config.busy_share else DemandLevel.NORMAL


def demand_xml(network: RoadNetwork, seed: int, config: TrafficConfig) -> str:
    """SUMO's route file: types, and trips in order of departure. The same arguments give the same text."""
    rng = np.random.default_rng([seed, 2])
    level = demand_level(seed, config)
    cars, others = CAR_FACTORS[level], WALKER_FACTORS[level]
    streets = [a for a in network.approaches.values() if a.is_trip_end]
    lane_km = sum(a.length * a.num_lanes for a in network.approaches.values()) / 1000.0
    street_km = sum(a.length for a in streets) / 1000.0
    trips = [
        *_drives(network, rng, config, round(cars * config.cars_per_lane_km * lane_km)),
        *_rides(network, rng, config, round(others * config.bicycles_per_km * street_km)),
        *_walks(network, rng, config, round(others * config.walkers_per_km * street_km)),
    ]
    lines = [text for _, text in sorted(trips, key=lambda trip: trip[0])]
    return "\n".join(["<routes>", *(_type_xml(name, user) for name, user in ROAD_USERS.items()), *lines, "</routes>", ""])


def _type_xml(name: str, user: RoadUser) -> str:
    return f'<vType id="{name}" length="{user.length}" width="{user.width}" height="{user.height}" {user.sumo}/>'


Trip = tuple[float, str]
"""Departure and SUMO's words for it."""


def _drives(network: RoadNetwork, rng: np.random.Generator, config: TrafficConfig, count: int) -> list[Trip]:
    """Cars roam the whole town: errands are likelier on long and wide streets, an expressway among them."""
    edges = [a for a in network.approaches.values() if not (a.is_ring or a.is_ramp)]
    weights = np.array([a.num_lanes * a.length for a in edges])
    fastest = max(a.speed_limit for a in edges)
    places = _places(network, edges)
    trips = []
    for number in range(count):
        depart, name = _departure(rng, config), _drawn(DRIVERS, rng)
        tour = _tour(edges, places, weights, rng, config.duration_s * fastest)
        text = (
            f'<trip id="v{number}" type="{name}" depart="{depart:.1f}" {_along(tour)} '
            'departLane="best" departSpeed="max" departPos="random_free"/>'
        )
        trips.append((depart, text))
    return trips


def _rides(network: RoadNetwork, rng: np.random.Generator, config: TrafficConfig, count: int) -> list[Trip]:
    edges = [network.approaches[name] for name in cycling_streets(network) if network.approaches[name].is_trip_end]
    if len(edges) < 2:
        return []
    places, weights = _places(network, edges), np.ones(len(edges))
    trips = []
    for number in range(count):
        depart, name = _departure(rng, config), _drawn(CYCLISTS, rng)
        tour = _tour(edges, places, weights, rng, config.duration_s * 7.5)
        text = (
            f'<trip id="b{number}" type="{name}" depart="{depart:.1f}" {_along(tour)} '
            'departSpeed="max" departPos="random_free"/>'
        )
        trips.append((depart, text))
    return trips


def _walks(network: RoadNetwork, rng: np.random.Generator, config: TrafficConfig, count: int) -> list[Trip]:
    """People on foot, some in groups that set out together at one pace."""
    streets = {name: a for name, a in network.approaches.items() if a.is_trip_end}
    walks: list[Trip] = []
    while len(walks) < count:
        depart, size = _departure(rng, config), int(rng.choice(list(GROUP_SHARES), p=list(GROUP_SHARES.values())))
        legs = _legs(streets, rng, config.duration_s * WALKING_SPEED)
        position, pace = rng.uniform(0.0, streets[legs[0]].length), rng.uniform(0.85, 1.1)
        for member in range(size):
            # Side by side, two abreast.
            behind = max(0.0, position - 0.8 * (member // 2))
            manner = f' speedFactor="{pace:.2f}"' if size > 1 else ""
            trips = "".join(f'<personTrip from="{a}" to="{b}"/>' for a, b in pairwise(legs))
            text = (
                f'<person id="p{len(walks)}" type="{_drawn(WALKERS, rng)}" depart="{depart:.1f}" '
                f'departPos="{behind:.1f}"{manner}>{trips}</person>'
            )
            walks.append((depart, text))
    return walks


def _departure(rng: np.random.Generator, config: TrafficConfig) -> float:
    return float(rng.uniform(0.0, FILLING_SHARE * config.warm_up_s))


def _drawn(users: Mapping[str, RoadUser], rng: np.random.Generator) -> str:
    shares = np.array([user.share for user in users.values()])
    return list(users)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _places(network: RoadNetwork, edges: Sequence[Approach]) -> np.ndarray:
    """[E, 2] the middle of each street."""
    lanes = {lane.lane_id: lane for lane in network.vector_map.lanes}
    lines = [lanes[edge.lane_ids[0]].centerline for edge in edges]
    return np.array([line[len(line) // 2] for line in lines])


def _tour(
    edges: Sequence[Approach], places: np.ndarray, weights: np.ndarray, rng: np.random.Generator, length_m: float
) -> list[str]:
    """Streets to visit in turn, at least ``length_m`` of way altogether (as the crow flies, so rather more on the road)."""
    share = weights / weights.sum()
    tour, way = [int(rng.choice(len(edges), p=share))], 0.0
    # Streets that lie in one place make the way no longer, ever: there is an end to the patience.
    for stop in rng.choice(len(edges), 120, p=share).tolist():
        if way >= length_m:
            break
        if stop != tour[-1]:
            way += float(np.hypot(*(places[stop] - places[tour[-1]])))
            tour.append(stop)
    names = [edges[k].edge_id for k in tour]
    return names if len(names) > 1 else [*names, names[0]]


def _along(tour: Sequence[str]) -> str:
    via = f' via="{" ".join(tour[1:-1])}"' if len(tour) > 2 else ""
    return f'from="{tour[0]}" to="{tour[-1]}"{via}'


def _legs(streets: Mapping[str, Approach], rng: np.random.Generator, length_m: float) -> list[str]:
    """Streets to walk along in turn, each sharing a junction with the one before."""
    names = list(streets)
    legs, way = [names[rng.integers(len(names))]], 0.0
    while way < length_m or len(legs) < 2:
        near = [name for name in streets[legs[-1]].walk_edge_ids if name in streets and name != legs[-1]]
        if not near:
            return [*legs, legs[-1]]
        legs.append(near[rng.integers(len(near))])
        way += streets[legs[-1]].length
    return legs
