"""The lane graph of a map that keeps nuPlan's layers: everything counts exactly as it is drawn.

Road blocks and their connectors are the map's lane groups, intersections and car parks its areas. Nothing grows, nothing is
mended, no vertex is added, and other drivable ground does not count: NAVSIM's devkit knows no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.scene import AreaKind, Lane, VectorMap
from diffdrive.scoring.preparation.lane_graph import Block, GraphLane, LaneGraph, drawn_polygons, linked, with_headings


def nuplan_lane_graph(vector_map: VectorMap) -> LaneGraph:
    """Lanes and groups keep their ids and their order. Raises ``InputError`` for a map without lanes.

    A lane of a group that has no area is left out: the devkit finds lanes by their road blocks. A group without lanes is a
    road block: it counts as drivable, and nothing leads through it.
    """
    groups = vector_map.areas_of(AreaKind.LANE_GROUP)
    shapes = dict(zip((area.area_id for area in groups), drawn_polygons([area.outline for area in groups]), strict=True))
    lanes = [lane for lane in vector_map.lanes if lane.lane_group_id in shapes and len(lane.centerline) > 1]
    if not lanes:
        raise InputError("The scene's map has no lanes in road blocks, and scores need them. Load scenes with a map.")
    graph_lanes = _graph_lanes(lanes)
    return LaneGraph(
        lanes=graph_lanes,
        blocks=_blocks(lanes, graph_lanes, shapes),
        intersections=_areas(vector_map, AreaKind.INTERSECTION),
        carparks=_areas(vector_map, AreaKind.CARPARK),
    )


def _graph_lanes(lanes: Sequence[Lane]) -> dict[str, GraphLane]:
    successors, _ = linked({lane.lane_id: lane.successor_ids for lane in lanes}, [lane.lane_id for lane in lanes])
    return {
        lane.lane_id: GraphLane(
            lane_id=lane.lane_id,
            block_id=str(lane.lane_group_id),
            baseline=with_headings(lane.centerline),
            polygon=polygon,
            successor_ids=successors[lane.lane_id],
            speed_limit_mps=lane.speed_limit_mps,
            is_bike_lane=lane.is_bike_lane,
        )
        for lane, polygon in zip(lanes, drawn_polygons([lane.polygon for lane in lanes]), strict=True)
    }


def _blocks(
    lanes: Sequence[Lane], graph_lanes: Mapping[str, GraphLane], shapes: Mapping[str, shapely.Polygon]
) -> dict[str, Block]:
    members: dict[str, list[Lane]] = {group: [] for group in shapes}
    for lane in lanes:
        members[str(lane.lane_group_id)].append(lane)
    is_connector = {i: bool(own) and all(lane.intersection_id is not None for lane in own) for i, own in members.items()}
    order = {i: place for place, i in enumerate(sorted(members, key=is_connector.__getitem__))}
    follows = {
        i: sorted(
            {graph_lanes[j].block_id for lane in own for j in graph_lanes[lane.lane_id].successor_ids}, key=order.__getitem__
        )
        for i, own in members.items()
    }
    successors, predecessors = linked(follows, order)
    return {
        i: Block(
            block_id=i,
            is_connector=is_connector[i],
            polygon=shapes[i],
            lane_ids=tuple(lane.lane_id for lane in members[i]),
            successor_ids=successors[i],
            predecessor_ids=tuple(predecessors[i]),
        )
        for i in order
    }


def _areas(vector_map: VectorMap, kind: AreaKind) -> dict[str, shapely.Polygon]:
    """Parts of one area share its id, so the place in the map is in the name."""
    areas = vector_map.areas_of(kind)
    names = (f"{kind.value}:{place}:{area.area_id}" for place, area in enumerate(areas))
    return dict(zip(names, np.atleast_1d(drawn_polygons([area.outline for area in areas])), strict=True))
