"""The planned route: what a navigation system knows, as a line along lane centres. It never looks at what was driven."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scene import Lane
from diffdrive.world.roads.network import RoadNetwork

STEP_M = 1.0
CHANGE_SHARE = (0.15, 0.6)
"""Where along a street a planned lane change happens."""


def plan_route(network: RoadNetwork, edge_ids: Sequence[str], start_lane_id: str, *, beyond_m: float = 80.0) -> np.ndarray:
    """Centre line [K, 2] (metres, about every metre) from the start of ``edge_ids[0]``, at least ``beyond_m`` past their end.

    ``start_lane_id`` is the lane of the first street the car is in. Lanes are chosen so that the fewest lane changes are
    needed; past the last street the route goes on as straight as the roads allow.
    Raises ``InputError`` where two streets in a row do not connect.
    """
    lanes = {lane.lane_id: lane for lane in network.vector_map.lanes}
    edges = _extended(network, list(edge_ids), lanes, beyond_m)
    groups = [network.approaches[edge].lane_ids for edge in edges]
    hops = [_hops(lanes, before, after) for before, after in pairwise(groups)]
    for index, options in enumerate(hops):
        if not options:
            raise InputError(f"A route cannot go from street '{edges[index]}' to '{edges[index + 1]}': no lane connects them.")
    chosen = _fewest_changes(groups, hops, start_lane_id)
    pieces, enter = [], start_lane_id
    for source, connector, target in chosen:
        pieces += [_along(lanes, enter, source), lanes[connector].centerline]
        enter = target
    pieces.append(lanes[enter].centerline)
    line = Polyline(np.concatenate(pieces))
    return line.interpolate(np.linspace(0.0, line.length, max(2, round(line.length / STEP_M))))[:, :2]


Hop = tuple[str, str, str]
"""Lane of one street, connector, lane of the next street."""


def _hops(lanes: dict[str, Lane], before: Sequence[str], after: Sequence[str]) -> list[Hop]:
    return [
        (source, connector, target)
        for source in before
        for connector in lanes[source].successor_ids
        for target in lanes[connector].successor_ids
        if target in after and not lanes[connector].is_bike_lane
    ]


def _fewest_changes(groups: list[tuple[str, ...]], hops: list[list[Hop]], start: str) -> list[Hop]:
    """Cheapest choice of one hop per junction, where moving over by one lane costs one (dynamic programming)."""
    best: dict[str, tuple[float, list[Hop]]] = {start: (0.0, [])}
    for group, options in zip(groups, hops, strict=False):
        onward: dict[str, tuple[float, list[Hop]]] = {}
        for hop in options:
            for lane, (cost, path) in best.items():
                total = cost + abs(group.index(lane) - group.index(hop[0]))
                if hop[2] not in onward or total < onward[hop[2]][0]:
                    onward[hop[2]] = (total, [*path, hop])
        best = onward
    return min(best.values(), key=lambda entry: entry[0])[1]


def _along(lanes: dict[str, Lane], enter: str, leave: str) -> np.ndarray:
    """Along a street from one of its lanes to another: a smooth change in the given part of it."""
    if enter == leave:
        return lanes[enter].centerline
    first, last = Polyline(lanes[enter].centerline), Polyline(lanes[leave].centerline)
    share = np.linspace(0.0, 1.0, max(20, round(first.length / STEP_M)))
    x = np.clip((share - CHANGE_SHARE[0]) / (CHANGE_SHARE[1] - CHANGE_SHARE[0]), 0.0, 1.0)
    weight = (x * x * (3 - 2 * x))[:, None]
    return (1 - weight) * first.interpolate(share * first.length)[:, :2] + weight * last.interpolate(share * last.length)[:, :2]


def _extended(network: RoadNetwork, edges: list[str], lanes: dict[str, Lane], beyond_m: float) -> list[str]:
    added = 0.0
    while added < beyond_m:
        options = network.approaches[edges[-1]].next_edge_ids
        options = tuple(
            o for o in options if _hops(lanes, network.approaches[edges[-1]].lane_ids, network.approaches[o].lane_ids)
        )
        if not options:
            break
        heading = _heading(lanes[network.approaches[edges[-1]].lane_ids[0]].centerline[-2:])
        turns = [
            abs(float(wrap_angle(_heading(lanes[network.approaches[o].lane_ids[0]].centerline[:2]) - heading))) for o in options
        ]
        edges = [*edges, options[int(np.argmin(turns))]]
        added += network.approaches[edges[-1]].length
    return edges


def _heading(step: np.ndarray) -> float:
    return float(np.arctan2(*(step[1] - step[0])[::-1]))
