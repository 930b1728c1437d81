"""Convert a whole py123d map into one ``VectorMap`` in the world frame.

Ids are the map's own, as text; they are unique within a kind. Height is dropped. Speed bumps have no counterpart and are left
out, and so are line objects that mark "no painted line here".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from diffdrive.scene import Area, AreaKind, Lane, Line, LineKind, VectorMap

# A line with a dashed and a solid side may not be crossed from one side, so it counts as solid; double lines as single ones.
LINE_KINDS: dict[str, LineKind | None] = {
    "NONE": None,
    "UNKNOWN": LineKind.OTHER,
    "SOLID_BLUE": LineKind.OTHER,
    "DASHED_WHITE": LineKind.DASHED_WHITE,
    "DOUBLE_DASH_WHITE": LineKind.DASHED_WHITE,
    "DASHED_YELLOW": LineKind.DASHED_YELLOW,
    "DOUBLE_DASH_YELLOW": LineKind.DASHED_YELLOW,
    "SOLID_WHITE": LineKind.SOLID_WHITE,
    "DOUBLE_SOLID_WHITE": LineKind.SOLID_WHITE,
    "DASH_SOLID_WHITE": LineKind.SOLID_WHITE,
    "SOLID_DASH_WHITE": LineKind.SOLID_WHITE,
    "SOLID_YELLOW": LineKind.SOLID_YELLOW,
    "DOUBLE_SOLID_YELLOW": LineKind.SOLID_YELLOW,
    "DASH_SOLID_YELLOW": LineKind.SOLID_YELLOW,
    "SOLID_DASH_YELLOW": LineKind.SOLID_YELLOW,
}
"""What each of py123d's ``RoadLineType`` becomes; None is left out."""


def vector_map_from_api(api: Any) -> VectorMap:
    """Every lane, area and line of a py123d ``MapAPI``, in the world frame, metres."""
    return VectorMap(lanes=_lanes(api), areas=tuple(_areas(api)), lines=tuple(_lines(api)))


def _objects(api: Any, layer: str) -> Iterator[Any]:
    from py123d.datatypes import MapLayer

    yield from api.get_all_map_objects_in_layer(MapLayer[layer])


def _lanes(api: Any) -> tuple[Lane, ...]:
    intersections = {group.object_id: group.intersection_id for group in _objects(api, "LANE_GROUP")}
    lanes = {str(lane.object_id): _lane(lane, intersections) for lane in _objects(api, "LANE")}
    return tuple(_with_same_direction_neighbours(lane, lanes) for lane in lanes.values())


def _lane(lane: Any, intersections: dict[Any, Any]) -> Lane:
    return Lane(
        lane_id=str(lane.object_id),
        centerline=_xy(lane.centerline),
        left_boundary=_xy(lane.left_boundary),
        right_boundary=_xy(lane.right_boundary),
        predecessor_ids=tuple(str(i) for i in lane.predecessor_ids),
        successor_ids=tuple(str(i) for i in lane.successor_ids),
        left_lane_id=_text(lane.left_lane_id),
        right_lane_id=_text(lane.right_lane_id),
        lane_group_id=_text(lane.lane_group_id),
        intersection_id=_text(intersections.get(lane.lane_group_id)),
        speed_limit_mps=None if lane.speed_limit_mps is None else float(lane.speed_limit_mps),
        is_bike_lane=lane.lane_type.name == "BIKE_LANE",
    )


def _with_same_direction_neighbours(lane: Lane, lanes: dict[str, Lane]) -> Lane:
    """Argoverse 2 also names the oncoming lane as a neighbour; a ``Lane`` keeps only those that run the same way."""

    def same_way(neighbour_id: str | None) -> str | None:
        other = lanes.get(neighbour_id) if neighbour_id is not None else None
        return neighbour_id if other is not None and float(_direction(lane) @ _direction(other)) > 0 else None

    return replace(lane, left_lane_id=same_way(lane.left_lane_id), right_lane_id=same_way(lane.right_lane_id))


def _direction(lane: Lane) -> np.ndarray:
    return lane.centerline[-1] - lane.centerline[0]


def _areas(api: Any) -> Iterator[Area]:
    for kind in AreaKind:
        for found in _objects(api, kind.name):
            lane_ids = tuple(str(i) for i in found.lane_ids) if kind is AreaKind.STOP_ZONE else ()
            yield Area(area_id=str(found.object_id), kind=kind, outline=_ring(found), lane_ids=lane_ids)


def _lines(api: Any) -> Iterator[Line]:
    for edge in _objects(api, "ROAD_EDGE"):
        yield Line(line_id=str(edge.object_id), kind=LineKind.ROAD_EDGE, points=_xy(edge.polyline))
    for line in _objects(api, "ROAD_LINE"):
        kind = LINE_KINDS[line.road_line_type.name]
        if kind is not None:
            yield Line(line_id=str(line.object_id), kind=kind, points=_xy(line.polyline))


def _ring(found: Any) -> np.ndarray:
    outline = _xy(found.outline)
    return outline[:-1] if len(outline) > 1 and np.array_equal(outline[0], outline[-1]) else outline


def _xy(polyline: Any) -> np.ndarray:
    # py123d hands out the arrays of its own cache: copy before anybody may change them.
    return np.array(polyline.array[:, :2], dtype=np.float64)


def _text(identifier: Any) -> str | None:
    return None if identifier is None else str(identifier)
