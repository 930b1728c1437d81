"""Where in a town something out of the ordinary happens: a seed and a map become a list of places."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.configuration import build, to_mapping
from diffdrive.files import written_aside
from diffdrive.geometry import Polyline
from diffdrive.world.events import EventKind
from diffdrive.world.roads import Approach, RoadNetwork
from diffdrive.world.traffic.events.config import EventConfig
from diffdrive.world.traffic.events.props import Area, standing_vehicle, works
from diffdrive.world.traffic.events.sites import RAMP_M, SPARE_M, Bottleneck, Crossing, Gate
from diffdrive.world.traffic.road_users import ROAD_USERS

LONGEST_M = 12.0
"""No vehicle is longer."""

TAIL_M = 9.0
"""Those whose lane is used wait this much farther back: the tail of a long vehicle swings out."""

STOP_BEFORE_WALKER_M = 3.2
WALKER_MARGIN_M = 0.7
DOUBLE_PARKED_TYPES = ("sedan", "suv")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlan:
    """All that is decided before the simulation runs."""

    seed: int
    config: EventConfig
    bottlenecks: tuple[Bottleneck, ...] = ()
    crossings: tuple[Crossing, ...] = ()


def plan_events(network: RoadNetwork, seed: int, config: EventConfig) -> EventPlan:
    """Places of a town's events, at most one a street. The same arguments give the same plan."""
    rng = np.random.default_rng([seed, 7])
    streets = [a for a in network.approaches.values() if a.opposite_edge_id is not None and a.is_trip_end]
    kilometres = sum(street.length for street in streets) / 2000.0
    # Either direction of a street may be the one that is blocked.
    order = [streets[k] for k in rng.permutation(len(streets))]
    taken: set[str] = set()

    def places(rate: float, make: Callable[[int, Approach], Any]) -> Iterator[Any]:
        count = int(rate * kilometres + rng.random())
        for street in order:
            if count <= 0:
                return
            site = None if street.edge_id in taken else make(count, street)
            if site is not None:
                taken.update((street.edge_id, str(street.opposite_edge_id)))
                count -= 1
                yield site

    zones = places(config.work_zones_per_km, lambda k, street: _bottleneck(network, street, rng, f"w{k}", True))
    bottlenecks = list(zones)
    bottlenecks += places(config.double_parked_per_km, lambda k, street: _bottleneck(network, street, rng, f"d{k}", False))
    # Between parked cars people are hard to see, and in nobody's way on the pavement.
    order.sort(key=lambda street: street.parking_strip is None)
    crossings = places(config.jaywalkers_per_km, lambda k, street: _crossing(network, street, rng, f"j{k}"))
    return EventPlan(seed=seed, config=config, bottlenecks=tuple(bottlenecks), crossings=tuple(crossings))


def write_plan(path: Path, plan: EventPlan) -> None:
    """As JSON."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(to_mapping(plan)))


def read_plan(path: Path) -> EventPlan:
    """Undo ``write_plan``."""
    return build(EventPlan, json.loads(path.read_text()))


def _bottleneck(
    network: RoadNetwork, street: Approach, rng: np.random.Generator, token: str, is_work: bool
) -> Bottleneck | None:
    back = network.approaches[str(street.opposite_edge_id)]
    if len(street.lane_ids) != 1 or len(back.lane_ids) != 1 or street.bike_lane_ids or back.bike_lane_ids:
        return None
    body = DOUBLE_PARKED_TYPES[rng.integers(len(DOUBLE_PARKED_TYPES))]
    length = float(rng.uniform(14.0, 22.0)) if is_work else ROAD_USERS[body].length
    line, half = _line(network, street.lane_ids[0])
    # Whoever waits, or has to wait once past the obstacle, must not stand in a junction: in town this locks whole blocks.
    low = LONGEST_M + 2.0 + SPARE_M + RAMP_M
    high = line.length - length - SPARE_M - RAMP_M - TAIL_M - LONGEST_M - 2.0
    if low > high:
        return None
    first = float(rng.uniform(low, high))
    # Standing cars leave a little room to the kerb; works begin almost at it.
    right = -half + (0.1 if is_work else 0.15)
    left = right + (float(rng.uniform(1.8, 2.1)) if is_work else ROAD_USERS[body].width)
    ahead = _gate(network, street, first - SPARE_M - RAMP_M, first + length + SPARE_M + 0.8 * RAMP_M, line)
    area = Area(line=line, first=first, last=first + length, right=right, left=left)
    return Bottleneck(
        kind=EventKind.WORK_ZONE if is_work else EventKind.DOUBLE_PARKED,
        lane_id=street.lane_ids[0],
        first_m=first,
        last_m=first + length,
        left_m=left,
        props=works(area, token) if is_work else (standing_vehicle(area, token, body, ROAD_USERS[body]),),
        ahead=ahead,
        oncoming=_gate(network, back, first + length + SPARE_M + RAMP_M + TAIL_M, first - SPARE_M - 0.8 * RAMP_M, line),
    )


def _gate(network: RoadNetwork, street: Approach, stop: float, end: float, line: Polyline) -> Gate:
    """From arc lengths along ``line`` to SUMO's metres along ``street``."""
    own = _line(network, street.lane_ids[-1])[0]
    stop_m, end_m = (own.project(line.interpolate(arc)[:2])[0] * street.length / own.length for arc in (stop, end))
    return Gate(
        edge_id=street.edge_id,
        feeder_edge_ids=tuple(a.edge_id for a in network.approaches.values() if street.edge_id in a.next_edge_ids),
        junction=street.from_junction,
        stop_m=stop_m,
        end_m=end_m,
        length_m=street.length,
    )


def _crossing(network: RoadNetwork, street: Approach, rng: np.random.Generator, token: str) -> Crossing | None:
    back = network.approaches[str(street.opposite_edge_id)]
    if len(street.lane_ids) + len(back.lane_ids) > 4 or street.length < 60.0:
        return None
    middle, half = _line(network, street.lane_ids[-1])
    arc = float(rng.uniform(0.35, 0.65)) * middle.length
    x, y, heading = middle.interpolate(arc).tolist()
    left = np.array([-np.sin(heading), np.cos(heading)])
    center = np.array([x, y]) + half * left
    # Offsets to the left of the line between the two directions.
    ours = _extent(network, street, center)
    theirs = tuple(-value for value in _extent(network, back, center)[::-1])
    # Between parked cars where there are any, or else on the pavement.
    start = ours[0] - (1.4 if street.parking_strip is not None else 1.0)
    end = theirs[1] + (1.4 if back.parking_strip is not None else 1.0)
    gates = []
    for way, side in ((street, -1.0), (back, 1.0)):
        line = _line(network, way.lane_ids[-1])[0]
        here = line.project(center + side * half * left)[0]
        gates.append(_gate(network, way, here - STOP_BEFORE_WALKER_M, here, line))
    spans = [(low - start - WALKER_MARGIN_M, high - start + WALKER_MARGIN_M) for low, high in (ours, theirs)]
    return Crossing(
        token=token,
        start=_pair(center + start * left),
        end=_pair(center + end * left),
        speed=float(rng.uniform(1.2, 1.9)),
        brink_m=min(ours[0] - start, end - theirs[1]) - 0.45,
        gates=tuple(gates),
        spans=tuple(spans),
        seed=int(rng.integers(2**31)),
    )


def _extent(network: RoadNetwork, street: Approach, center: np.ndarray) -> tuple[float, float]:
    """Right and left edge of all driven lanes of one direction, as offsets to the left from ``center``, seen along it."""
    edges = []
    for lane_id in (*street.lane_ids, *street.bike_lane_ids):
        line, half = _line(network, lane_id)
        offset = -line.project(center)[1]
        edges += [offset - half, offset + half]
    return min(edges), max(edges)


def _line(network: RoadNetwork, lane_id: str) -> tuple[Polyline, float]:
    """Centre line and half the width of a lane."""
    lane = next(lane for lane in network.vector_map.lanes if lane.lane_id == lane_id)
    return Polyline(lane.centerline), float(np.hypot(*(lane.left_boundary[0] - lane.right_boundary[0]))) / 2


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])
