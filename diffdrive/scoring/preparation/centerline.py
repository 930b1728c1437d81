"""The lane the ego starts in, the lanes it would drive, and their centreline."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import wrap_angle
from diffdrive.scoring.preparation.lane_graph import GraphLane, LaneGraph

_WINDOW_BLOCKS = 30


def start_lane(
    graph: LaneGraph, route: Sequence[str], containing: Sequence[str], rear_axle: np.ndarray, box: shapely.Polygon
) -> str:
    """The lane of ``route`` [block ids] that the ego starts in.

    ``containing`` are the ids of lanes that contain the rear axle [3], in the order that settles ties; ``box`` is the
    ego's outline. Of the route's lanes among them the one with the smallest heading error at its nearest vertex; "nearest"
    is measured in (x, y, heading) space, as the devkit does. Without any: the first lane around the ego's centre, else the
    one closest to its outline. Raises ``InputError`` where the route has no lanes.
    """
    lanes = {lane.lane_id: lane for lane in graph.lanes_of(route)}
    if not lanes:
        raise InputError("The route has no lane on this map, so there is no centreline. Give a map that covers the route.")
    here = [lane_id for lane_id in containing if lane_id in lanes]
    if here:
        return here[int(np.argmin([_heading_error(lanes[lane_id].baseline, rear_axle) for lane_id in here]))]
    polygons = np.array([lane.polygon for lane in lanes.values()])
    around = np.flatnonzero(shapely.contains(polygons, box.centroid))
    nearest = around[0] if len(around) else np.argmin(shapely.distance(polygons, box))
    return list(lanes)[int(nearest)]


def _heading_error(baseline: np.ndarray, pose: np.ndarray) -> float:
    nearest = int(np.argmin(((baseline - pose) ** 2).sum(axis=1)))
    return float(np.abs(wrap_angle(baseline[nearest, 2] - pose[2])))


def lane_sequence(graph: LaneGraph, route: Sequence[str], start: str) -> tuple[list[str], bool]:
    """The lanes of ``route`` [block ids] to drive from the lane ``start``, and whether they reach the goal.

    The goal is any lane of the last block within a window of 30. Where it is not reached: the way to the deepest lane, of
    those the cheapest.
    """
    order = list(route)
    first = order.index(graph.lanes[start].block_id) if graph.lanes[start].block_id in order else 0
    goal = order[first : first + _WINDOW_BLOCKS][-1]
    return _Search(graph, {lane.lane_id for lane in graph.lanes_of(route)}).run(start, goal)


class _Search:
    """Dijkstra over lanes; the cost of a lane is the length of its baseline. Of equal costs the earlier found goes first."""

    def __init__(self, graph: LaneGraph, allowed: Collection[str]) -> None:
        self.graph = graph
        self.allowed = allowed
        self.parents: dict[str, str | None] = {}
        self.costs: dict[str, float] = {}
        self.depths: dict[str, int] = {}
        self.expanded: dict[str, None] = {}

    def run(self, start: str, goal_block: str) -> tuple[list[str], bool]:
        self.parents[start], self.costs[start], self.depths[start] = None, 0.0, 1
        found_at = {start: 0}
        queue = [(0.0, 0, start)]
        while queue:
            cost, _, lane_id = heapq.heappop(queue)
            if lane_id in self.expanded or cost > self.costs[lane_id]:
                continue
            if self.graph.lanes[lane_id].block_id == goal_block:
                return self._traced(lane_id), True
            self.expanded[lane_id] = None
            for following in self.graph.lanes[lane_id].successor_ids:
                if following in self.allowed and following not in self.expanded and self._improves(lane_id, following):
                    found_at.setdefault(following, len(found_at))
                    heapq.heappush(queue, (self.costs[following], found_at[following], following))
        deepest = max(self.depths[i] for i in self.expanded)
        ends = [i for i in self.expanded if self.depths[i] == deepest]
        return self._traced(min(ends, key=self.costs.__getitem__)), False

    def _improves(self, lane_id: str, following: str) -> bool:
        cost = self.costs[lane_id] + self.graph.lanes[following].length
        if following in self.costs and cost >= self.costs[following]:
            return False
        self.parents[following], self.costs[following], self.depths[following] = lane_id, cost, self.depths[lane_id] + 1
        return True

    def _traced(self, lane_id: str) -> list[str]:
        path: list[str] = []
        step: str | None = lane_id
        while step is not None:
            path.append(step)
            step = self.parents[step]
        return path[::-1]


def centerline_of(lanes: Sequence[GraphLane]) -> np.ndarray:
    """[K, 3] x, y, heading: the lanes' vertices one after another; where two lanes join, the vertex appears twice."""
    return np.concatenate([lane.baseline for lane in lanes])
