"""Which blocks a path runs through: a hidden Markov model over the lanes, solved by Viterbi's algorithm.

After Newson and Krumm 2009 (doi 10.1145/1653771.1653818), with lane links in place of shortest paths.
"""

from __future__ import annotations

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.scoring.preparation.lane_graph import LaneGraph

ROUTE_LENGTH_M = 250.0

_SAMPLE_M = 2.0
_REACH_M = 4.0
_SPREAD_M = 1.0
_MAX_TURN = np.pi / 3
_TURN_SPREAD = np.pi / 8
_MAX_LINKS = 3
_MAX_GAP_M = 10.0
_LINK_COST, _CHANGE_COST, _JUMP_COST = 0.5, 1.5, 30.0


def matched_route(graph: LaneGraph, path: np.ndarray, heading: float = 0.0) -> list[str]:
    """The block ids that ``path`` [K, 2] runs through, extended straight ahead to 250 m.

    ``heading``: where a path without any length points. Bike lanes are matched only where nothing else fits. Raises
    ``InputError`` where the path comes near no lane at all.
    """
    samples = _samples(path, heading)
    lane_ids, costs = _candidates(graph, samples)
    kept = _first_stay(np.isfinite(costs).any(axis=1))
    if not len(kept):
        raise InputError(
            f"No lane of the map lies within {_REACH_M} m of the route and runs its way. "
            "Scores need a map of the road that is driven on."
        )
    rows = _viterbi(costs[kept], _transitions(graph, lane_ids))
    lanes = [lane_ids[row] for row in rows]
    lanes = [lane for lane, before in zip(lanes, [None, *lanes[:-1]], strict=True) if lane != before]
    return list(dict.fromkeys(graph.lanes[lane].block_id for lane in _extended(graph, lanes, samples[: kept[-1] + 1])))


def _first_stay(has_lane: np.ndarray) -> np.ndarray:
    """Rows with a lane, up to the first gap that is longer than a flaw of the map.

    Maps are cut out around the ego. What a route does after it left the map must not be joined to what it did before.
    """
    rows = np.flatnonzero(has_lane)
    gaps = np.flatnonzero(np.diff(rows) * _SAMPLE_M > _MAX_GAP_M)
    return rows[: gaps[0] + 1] if len(gaps) else rows


def _samples(path: np.ndarray, heading: float) -> np.ndarray:
    """[N, 3] poses along ``path``."""
    try:
        line = Polyline(path)
    except InputError:
        return np.array([[*path[0], heading]])
    if line.length < _SAMPLE_M:
        return np.array([[*path[0], heading]])
    return line.interpolate(np.arange(0.0, line.length, _SAMPLE_M) + _SAMPLE_M / 2)


def _candidates(graph: LaneGraph, samples: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Lanes near the path, and [N, L] how badly each sample fits each lane; infinite where not at all."""
    lane_ids = list(graph.lanes)
    lines = shapely.linestrings(
        np.concatenate([graph.lanes[i].baseline[:, :2] for i in lane_ids]),
        indices=np.repeat(np.arange(len(lane_ids)), [len(graph.lanes[i].baseline) for i in lane_ids]),
    )
    points = shapely.points(samples[:, :2])
    sample, lane = shapely.STRtree(lines).query(points, predicate="dwithin", distance=_REACH_M)
    distance = shapely.distance(points[sample], lines[lane])
    at = shapely.line_locate_point(lines[lane], points[sample])
    turn = np.empty(len(at))
    for i in np.unique(lane):
        baseline = graph.lanes[lane_ids[i]].baseline
        arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(baseline[:, :2], axis=0).T))])
        own = lane == i
        piece = np.clip(np.searchsorted(arc, at[own], side="right") - 1, 0, len(arc) - 2)
        turn[own] = np.abs(wrap_angle(baseline[piece, 2] - samples[sample[own], 2]))
    used, column = np.unique(lane, return_inverse=True)
    costs = np.full((len(samples), len(used)), np.inf)
    fits = turn < _MAX_TURN
    cost = (distance / _SPREAD_M) ** 2 / 2 + (turn / _TURN_SPREAD) ** 2 / 2
    costs[sample[fits], column[fits]] = cost[fits]
    is_bike = np.array([graph.lanes[lane_ids[i]].is_bike_lane for i in used], dtype=bool)
    costs[:, is_bike] += _JUMP_COST
    return [lane_ids[i] for i in used], costs


def _transitions(graph: LaneGraph, lane_ids: list[str]) -> np.ndarray:
    """[L, L] what it costs to be on the second lane one sample after the first."""
    costs = np.full((len(lane_ids), len(lane_ids)), _JUMP_COST)
    columns = {lane_id: column for column, lane_id in enumerate(lane_ids)}

    def lower(row: int, lane_id: str, cost: float) -> None:
        if lane_id in columns:
            costs[row, columns[lane_id]] = min(costs[row, columns[lane_id]], cost)

    for row, lane_id in enumerate(lane_ids):
        ahead = [lane_id]
        for links in range(_MAX_LINKS + 1):
            for here in ahead:
                lower(row, here, links * _LINK_COST)
                for beside in graph.blocks[graph.lanes[here].block_id].lane_ids:
                    lower(row, beside, links * _LINK_COST + _CHANGE_COST)
            ahead = list(dict.fromkeys(i for here in ahead for i in graph.lanes[here].successor_ids))
    return costs


def _viterbi(costs: np.ndarray, transitions: np.ndarray) -> list[int]:
    """The cheapest state [N] at each sample."""
    best = costs[0]
    back = np.zeros(costs.shape, dtype=np.int64)
    for sample in range(1, len(costs)):
        through = best[:, None] + transitions
        back[sample] = np.argmin(through, axis=0)
        best = through.min(axis=0) + costs[sample]
    states = [int(np.argmin(best))]
    for sample in range(len(costs) - 1, 0, -1):
        states.append(int(back[sample, states[-1]]))
    return states[::-1]


def _extended(graph: LaneGraph, lanes: list[str], samples: np.ndarray) -> list[str]:
    """``lanes`` and then, always into the straightest successor, on to a route of 250 m."""
    end = graph.lanes[lanes[-1]].baseline[-1, :2]
    length = len(samples) * _SAMPLE_M + float(np.hypot(*(end - samples[-1, :2])))
    route = list(lanes)
    while length < ROUTE_LENGTH_M:
        here = graph.lanes[route[-1]]
        onward = [i for i in here.successor_ids if i not in route]
        if not onward:
            break
        turns = [abs(float(wrap_angle(graph.lanes[i].baseline[-1, 2] - here.baseline[-1, 2]))) for i in onward]
        route.append(onward[int(np.argmin(turns))])
        length += graph.lanes[route[-1]].length
    return route
