"""The route's correction: begin where the ego is, close gaps, cut loops.

A route is a list of block ids. Source of the rules: PDM-Closed as NAVSIM runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from diffdrive.geometry import wrap_angle
from diffdrive.scoring.preparation.block_search import find_path
from diffdrive.scoring.preparation.lane_graph import Block, LaneGraph

_REACH_M = 1.0
_MAX_HEADING_ERROR = np.pi / 4
_MAX_DISTANCE_M = 3.0
_BACKWARD_DEPTH, _FORWARD_DEPTH = 15, 30
_ENTRY_BLOCKS = 3
_LOOP_AREA_M2 = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBlocks:
    """Where the ego is, in blocks."""

    start: str
    candidates: tuple[str, ...]
    """Every block that was as good a guess as ``start``."""


def corrected_route(graph: LaneGraph, route: Sequence[str], rear_axle: np.ndarray, *, square_heading: float = 0.0) -> list[str]:
    """``route`` [block ids] so that it begins at the pose ``rear_axle`` [3], has no missing link and no loop.

    Blocks that the map does not hold are left out first. ``square_heading`` is the direction of the world's x axis in the
    frame of the values, along which the devkit's search square lies.
    """
    blocks = graph.known(route)
    if not blocks:
        return []
    here = start_blocks(graph, blocks, rear_axle, square_heading=square_heading)
    if here is not None and here.start not in blocks:
        blocks = _begun_at(graph, blocks, here)
    return graph.known(_without_loops(graph, _linked_up(graph, blocks)))


def start_blocks(
    graph: LaneGraph, route: Sequence[str], rear_axle: np.ndarray, *, square_heading: float = 0.0
) -> StartBlocks | None:
    """The block that the ego is in: on the route rather than off it, in a fitting lane rather than any; None without blocks."""
    near = _blocks_near(graph, rear_axle[:2], square_heading)
    on_route: list[tuple[float, str]] = []
    fitting: list[tuple[float, str]] = []
    anything: list[tuple[float, str]] = []
    for block in near:
        errors = [_lane_errors(graph.lanes[lane_id].baseline, rear_axle) for lane_id in block.lane_ids]
        if not errors:
            continue
        anything.append((min(distance for distance, _ in errors), block.block_id))
        accepted = on_route if block.block_id in route else fitting
        accepted += [(d, block.block_id) for d, turn in errors if d < _MAX_DISTANCE_M and turn < _MAX_HEADING_ERROR]
    chosen = on_route or fitting or anything
    if not chosen:
        return None
    return StartBlocks(start=min(chosen, key=lambda c: c[0])[1], candidates=tuple(block_id for _, block_id in chosen))


def _blocks_near(graph: LaneGraph, point: np.ndarray, square_heading: float) -> list[Block]:
    """Blocks that meet a square around ``point``; without any, the nearest roadblock and the nearest connector."""
    blocks = list(graph.blocks.values())
    if not blocks:
        return []
    polygons = np.array([block.polygon for block in blocks])
    hits = np.flatnonzero(shapely.intersects(polygons, square(point, _REACH_M, square_heading)))
    if len(hits):
        return [blocks[i] for i in hits]
    distances = shapely.distance(polygons, shapely.Point(point))
    kinds = np.array([block.is_connector for block in blocks])
    nearest = [np.flatnonzero(kinds == kind) for kind in (False, True)]
    return [blocks[rows[int(np.argmin(distances[rows]))]] for rows in nearest if len(rows)]


def square(center: np.ndarray, half_width: float, heading: float = 0.0) -> shapely.Polygon:
    """A square around ``center`` [2] with sides along and across ``heading``."""
    if heading == 0.0:
        return shapely.box(*(center - half_width), *(center + half_width))
    along = half_width * np.array([np.cos(heading), np.sin(heading)])
    across = np.array([-along[1], along[0]])
    return shapely.Polygon([center - along - across, center + along - across, center + along + across, center - along + across])


def _lane_errors(baseline: np.ndarray, pose: np.ndarray) -> tuple[float, float]:
    """Distance to the nearest vertex, and the heading error there."""
    distances = np.sqrt(((baseline[:, :2] - pose[:2]) ** 2).sum(axis=1))
    nearest = int(np.argmin(distances))
    return float(distances[nearest]), float(np.abs(wrap_angle(baseline[nearest, 2] - pose[2])))


def _begun_at(graph: LaneGraph, route: list[str], here: StartBlocks) -> list[str]:
    """``route`` with what leads to it put before it, or from where the ego can join it; unchanged if neither is found."""
    back = find_path(route[0], here.candidates, lambda b: graph.blocks[b].predecessor_ids, max_depth=_BACKWARD_DEPTH)
    if back is not None:
        return back[:0:-1] + route
    ahead = find_path(here.start, route[:_ENTRY_BLOCKS], lambda b: graph.blocks[b].successor_ids, max_depth=_FORWARD_DEPTH)
    return route if ahead is None else ahead + route[route.index(ahead[-1]) + 1 :]


def _linked_up(graph: LaneGraph, route: list[str]) -> list[str]:
    """``route`` with the blocks between two that do not touch, where a path between them is found."""
    complete = route[:1]
    for block, following in pairwise(route):
        if block not in graph.blocks[following].predecessor_ids:
            between = find_path(block, (following,), lambda b: graph.blocks[b].successor_ids, max_depth=_FORWARD_DEPTH)
            complete += (between or [])[1:-1]
        complete.append(following)
    return complete


def _without_loops(graph: LaneGraph, route: list[str]) -> list[str]:
    """``route`` up to the first connector that overlaps an earlier connector of it."""
    earlier: list[shapely.Polygon] = []
    for index, block_id in enumerate(route):
        block = graph.blocks[block_id]
        if not block.is_connector:
            continue
        if earlier and (shapely.area(shapely.intersection(np.array(earlier), block.polygon)) > _LOOP_AREA_M2).any():
            return route[:index]
        earlier.append(block.polygon)
    return route
