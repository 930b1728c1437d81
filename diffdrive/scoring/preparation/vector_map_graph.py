"""The lane graph of a scene's vector map.

Maps with nuPlan's own layers are taken as they are drawn. Of maps that meet edge to edge, lane groups become roadblocks, or
connectors where their lanes lie in an intersection; intersections stay; car parks and other drivable ground become carparks.
Nobody is inside of a shared edge: what counts as drivable is grown by a few centimetres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.scene import Area, AreaKind, Lane, MapConvention, VectorMap
from diffdrive.scoring.preparation.lane_graph import Block, GraphLane, LaneGraph, drawn_polygons, linked
from diffdrive.scoring.preparation.nuplan_graph import nuplan_lane_graph

_GROWTH_M = 0.05
_SPACING_M = 1.0
_CLOSING_M = 0.5
_MIN_STEP_M = 1e-6
_SLIVER_M = 0.01


def lane_graph_of(vector_map: VectorMap) -> LaneGraph:
    """Lanes keep their ids. Raises ``InputError`` for a map without lanes."""
    if vector_map.convention is MapConvention.NUPLAN:
        return nuplan_lane_graph(vector_map)
    drawn = zip(vector_map.lanes, baselines_of([lane.centerline for lane in vector_map.lanes]), strict=True)
    sound = [(lane, baseline) for lane, baseline in drawn if len(baseline) > 1]
    lanes = [lane for lane, _ in sound]
    if not lanes:
        raise InputError("The scene's map has no lanes, and scores need them. Load scenes with a map.")
    block_ids = [_block_id(lane) for lane in lanes]
    outlines = dict(zip((lane.lane_id for lane in lanes), polygons_of([lane.polygon for lane in lanes]), strict=True))
    graph_lanes = _graph_lanes(lanes, [baseline for _, baseline in sound], block_ids, outlines)
    areas = {kind: _areas(vector_map.areas_of(kind)) for kind in AreaKind}
    blocks = _blocks(lanes, block_ids, outlines, areas[AreaKind.LANE_GROUP], graph_lanes)
    intersections = areas[AreaKind.INTERSECTION]
    # A connector whose intersection has no area of its own is drivable where it lies, or nobody could pass.
    bare = {
        block_id: blocks[block_id].polygon
        for lane, block_id in zip(lanes, block_ids, strict=True)
        if blocks[block_id].is_connector and lane.intersection_id not in intersections
    }
    carparks = {
        f"{kind.value}:{i}": area for kind in (AreaKind.CARPARK, AreaKind.GENERIC_DRIVABLE) for i, area in areas[kind].items()
    }
    return LaneGraph(
        lanes=graph_lanes,
        blocks={
            i: block for is_connector in (False, True) for i, block in blocks.items() if block.is_connector == is_connector
        },
        intersections=_grown({**intersections, **{f"connector:{i}": polygon for i, polygon in bare.items()}}),
        carparks=_grown(carparks),
    )


def polygons_of(outlines: Sequence[np.ndarray]) -> np.ndarray:
    """[P] shapely polygons from outlines [V, 2]; of one that crosses itself, the largest sound part."""
    polygons = drawn_polygons(outlines)
    for row in np.flatnonzero(~shapely.is_valid(polygons)):
        polygons[row] = _mended(polygons[row])
    return polygons


def _mended(polygon: shapely.Polygon) -> shapely.Polygon:
    parts = [part for part in shapely.get_parts(shapely.make_valid(polygon)) if part.geom_type == "Polygon"]
    return max(parts, key=lambda part: part.area) if parts else polygon.convex_hull.buffer(_SLIVER_M)


def _block_id(lane: Lane) -> str:
    """Bike lanes are apart, so that no route leads over them because it leads over the road."""
    group = f"lane:{lane.lane_id}" if lane.lane_group_id is None else lane.lane_group_id
    return f"{group}:bike" if lane.is_bike_lane else group


def _graph_lanes(
    lanes: list[Lane], baselines: list[np.ndarray], block_ids: list[str], outlines: dict[str, shapely.Polygon]
) -> dict[str, GraphLane]:
    successors, _ = linked({lane.lane_id: lane.successor_ids for lane in lanes}, [lane.lane_id for lane in lanes])
    return {
        lane.lane_id: GraphLane(
            lane_id=lane.lane_id,
            block_id=block_id,
            baseline=baseline,
            polygon=outlines[lane.lane_id],
            successor_ids=successors[lane.lane_id],
            # Maps also write "no limit" as 0 or NaN.
            speed_limit_mps=lane.speed_limit_mps if (lane.speed_limit_mps or 0) > 0 else None,
            is_bike_lane=lane.is_bike_lane,
        )
        for lane, baseline, block_id in zip(lanes, baselines, block_ids, strict=True)
    }


def baselines_of(lines: Sequence[np.ndarray]) -> list[np.ndarray]:
    """[K, 3] x, y, heading for each line [*, 2], with a vertex every metre or closer: the rules look for nearest vertices.

    Repeated points are dropped; a line without any length comes back with a single point.
    """
    if not lines:
        return []
    points = np.concatenate(lines)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    step, is_inner = _steps(points, owner)
    kept = np.append(True, ~is_inner[:-1] | (np.hypot(*step[:-1].T) > _MIN_STEP_M))
    points, owner = points[kept], owner[kept]
    step, is_inner = _steps(points, owner)
    heading = np.arctan2(step[:, 1], step[:, 0])
    heading = np.where(is_inner, heading, np.append(heading[-1:], heading[:-1]))
    pieces = np.maximum(np.ceil(np.hypot(*step.T) / _SPACING_M), 1).astype(np.int64)
    source = np.repeat(np.arange(len(points)), pieces)
    share = (np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)) / pieces[source]
    dense = np.column_stack([points[source] + step[source] * share[:, None], heading[source]])
    return np.split(dense, np.flatnonzero(np.diff(owner[source])) + 1)


def _steps(points: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[V, 2] from each point to the next of its line, zero at a line's end; and [V] whether there is a next."""
    is_inner = np.append(owner[1:] == owner[:-1], False)
    return np.where(is_inner[:, None], np.roll(points, -1, axis=0) - points, 0.0), is_inner


def _areas(areas: Sequence[Area]) -> dict[str, shapely.Polygon]:
    return dict(zip((area.area_id for area in areas), polygons_of([area.outline for area in areas]), strict=True))


def _blocks(
    lanes: list[Lane],
    block_ids: list[str],
    outlines: dict[str, shapely.Polygon],
    group_areas: dict[str, shapely.Polygon],
    graph_lanes: dict[str, GraphLane],
) -> dict[str, Block]:
    members: dict[str, list[Lane]] = {}
    for lane, block_id in zip(lanes, block_ids, strict=True):
        members.setdefault(block_id, []).append(lane)
    follows = {
        block_id: [
            graph_lanes[i].block_id
            for lane in own
            for i in graph_lanes[lane.lane_id].successor_ids
            if graph_lanes[i].block_id != block_id
        ]
        for block_id, own in members.items()
    }
    successors, predecessors = linked(follows, members)
    is_connector = {i: all(lane.intersection_id is not None for lane in own) for i, own in members.items()}
    shapes = {
        i: group_areas[i] if i in group_areas else _outline([outlines[lane.lane_id] for lane in own])
        for i, own in members.items()
    }
    grown = _grown({i: shape for i, shape in shapes.items() if not is_connector[i]})
    return {
        i: Block(
            block_id=i,
            is_connector=is_connector[i],
            polygon=grown.get(i, shapes[i]),
            lane_ids=tuple(lane.lane_id for lane in own),
            successor_ids=successors[i],
            predecessor_ids=tuple(predecessors[i]),
        )
        for i, own in members.items()
    }


def _outline(polygons: list[shapely.Polygon]) -> shapely.Polygon:
    """One polygon around lanes side by side."""
    if len(polygons) == 1:
        return polygons[0]
    closed = shapely.union_all(polygons).buffer(_CLOSING_M).buffer(-_CLOSING_M)
    return closed if closed.geom_type == "Polygon" else closed.convex_hull


def _grown(polygons: dict[str, shapely.Polygon]) -> dict[str, shapely.Polygon]:
    if not polygons:
        return {}
    grown = shapely.buffer(np.array(list(polygons.values()), dtype=object), _GROWTH_M, join_style="mitre")
    return dict(zip(polygons, grown, strict=True))
