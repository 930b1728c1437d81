"""Write a vector map as a 123D map that several logs share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.log123d.write import aside
from diffdrive.scene import Area, AreaKind, Lane, LineKind, VectorMap

_LINE_TYPES = {
    LineKind.DASHED_WHITE: "DASHED_WHITE",
    LineKind.SOLID_WHITE: "SOLID_WHITE",
    LineKind.DASHED_YELLOW: "DASHED_YELLOW",
    LineKind.SOLID_YELLOW: "SOLID_YELLOW",
    LineKind.OTHER: "UNKNOWN",
}


def map_file(root: Path, dataset: str, location: str) -> Path:
    """Where ``write_map`` puts a map below a data root."""
    return root / "maps" / dataset / f"{dataset}_{location}.arrow"


def write_map(
    vector_map: VectorMap,
    root: Path,
    *,
    dataset: str,
    location: str,
    signalised_lanes: Collection[str] = (),
    compression_level: int = 3,
) -> Path:
    """Write a map in the world frame below the data root and return its path.

    ``signalised_lanes`` are the connectors that a traffic light governs; they tell lights from stop signs.
    ``compression_level`` is zstd's, 1 (fast) to 19 (small).
    Raises ``InputError`` for an id that is not a whole number and where the map exists already.
    """
    try:
        from py123d.api.map.arrow.arrow_map_writer import ArrowMapWriter
        from py123d.datatypes import MapMetadata
    except ImportError as error:
        raise ImportError("Writing 123D maps needs py123d. Install it with: pip install 'diffdrive[data]'") from error
    _check_ids(vector_map)
    path = map_file(root, dataset, location)
    if path.exists():
        raise InputError(f"Map '{path}' exists already. Remove it, or write to another folder.")
    with aside(path.parent, path.stem) as scratch:
        writer = ArrowMapWriter(force_map_conversion=True, maps_root=scratch, logs_root=scratch)
        writer.reset(MapMetadata(dataset=dataset, location=location, map_has_z=True, map_is_per_log=False))
        for value in _objects(vector_map, frozenset(signalised_lanes)):
            writer.write_map_object(value)
        writer.close()
        _compress(scratch / dataset / path.name, compression_level)
        (scratch / dataset / path.name).replace(path)
    return path


def _compress(path: Path, level: int) -> None:
    """py123d writes maps uncompressed and reads either kind; compressed they take a fifth of the space."""
    import pyarrow as pa  # type: ignore[import-untyped]

    with pa.OSFile(str(path), "rb") as source:
        table = pa.ipc.open_file(source).read_all()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=level))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)


def _check_ids(vector_map: VectorMap) -> None:
    names = [lane.lane_id for lane in vector_map.lanes]
    names += [str(lane.lane_group_id) for lane in vector_map.lanes]
    names += [lane.intersection_id for lane in vector_map.lanes if lane.intersection_id is not None]
    names += [area.area_id for area in vector_map.areas] + [line.line_id for line in vector_map.lines]
    wrong = [name for name in names if not name.isdecimal() or str(int(name)) != name]
    if wrong:
        raise InputError(
            f"Map ids must be whole numbers in text, got '{wrong[0]}' (and {len(wrong) - 1} more). py123d renumbers other "
            "names. Lanes need a lane group."
        )


def _objects(vector_map: VectorMap, signalised: frozenset[str]) -> list[Any]:
    from py123d.datatypes import Carpark, Crosswalk, GenericDrivable, RoadEdge, RoadEdgeType, RoadLine, RoadLineType, Walkway

    plain: dict[AreaKind, Any] = {
        AreaKind.CROSSWALK: Crosswalk,
        AreaKind.WALKWAY: Walkway,
        AreaKind.CARPARK: Carpark,
        AreaKind.GENERIC_DRIVABLE: GenericDrivable,
    }
    groups = _lane_groups(vector_map)
    values = [_lane(lane) for lane in vector_map.lanes] + [_group(name, members) for name, members in groups.items()]
    for area in vector_map.areas:
        if area.kind in plain:
            values.append(plain[area.kind](int(area.area_id), outline=_ring(area.outline)))
        elif area.kind is AreaKind.INTERSECTION:
            values.append(_intersection(area, groups, signalised))
        elif area.kind is AreaKind.STOP_ZONE:
            values.append(_stop_zone(area, signalised))
    for line in vector_map.lines:
        if line.kind is LineKind.ROAD_EDGE:
            values.append(RoadEdge(int(line.line_id), RoadEdgeType.ROAD_EDGE_BOUNDARY, _line(line.points)))
        else:
            values.append(RoadLine(int(line.line_id), RoadLineType[_LINE_TYPES[line.kind]], _line(line.points)))
    return values


def _lane_groups(vector_map: VectorMap) -> dict[str, list[Lane]]:
    """Lanes of each group, from the left to the right where neighbours say so."""
    groups: dict[str, list[Lane]] = {}
    for lane in vector_map.lanes:
        groups.setdefault(str(lane.lane_group_id), []).append(lane)
    return {name: _left_to_right(members) for name, members in groups.items()}


def _left_to_right(members: list[Lane]) -> list[Lane]:
    direction = members[0].centerline[-1] - members[0].centerline[0]
    across = np.array([-direction[1], direction[0]])
    return sorted(members, key=lambda lane: -float(lane.centerline.mean(axis=0) @ across))


def _lane(lane: Lane) -> Any:
    from py123d.datatypes import Lane as Lane123D
    from py123d.datatypes import LaneType

    return Lane123D(
        object_id=int(lane.lane_id),
        lane_type=LaneType.BIKE_LANE if lane.is_bike_lane else LaneType.SURFACE_STREET,
        lane_group_id=int(str(lane.lane_group_id)),
        left_boundary=_line(lane.left_boundary),
        right_boundary=_line(lane.right_boundary),
        centerline=_line(lane.centerline),
        left_lane_id=None if lane.left_lane_id is None else int(lane.left_lane_id),
        right_lane_id=None if lane.right_lane_id is None else int(lane.right_lane_id),
        predecessor_ids=[int(name) for name in lane.predecessor_ids],
        successor_ids=[int(name) for name in lane.successor_ids],
        speed_limit_mps=lane.speed_limit_mps,
    )


def _group(name: str, members: list[Lane]) -> Any:
    from py123d.datatypes import LaneGroup

    intersection = members[0].intersection_id
    return LaneGroup(
        object_id=int(name),
        lane_ids=[int(lane.lane_id) for lane in members],
        left_boundary=_line(members[0].left_boundary),
        right_boundary=_line(members[-1].right_boundary),
        intersection_id=None if intersection is None else int(intersection),
        predecessor_ids=[],
        successor_ids=[],
    )


def _intersection(area: Area, groups: dict[str, list[Lane]], signalised: frozenset[str]) -> Any:
    from py123d.datatypes import Intersection, IntersectionType

    inside = {name: lanes for name, lanes in groups.items() if lanes[0].intersection_id == area.area_id}
    has_light = any(lane.lane_id in signalised for lanes in inside.values() for lane in lanes)
    kind = IntersectionType.TRAFFIC_LIGHT if has_light else IntersectionType.DEFAULT
    return Intersection(int(area.area_id), kind, [int(name) for name in inside], outline=_ring(area.outline))


def _stop_zone(area: Area, signalised: frozenset[str]) -> Any:
    from py123d.datatypes import StopZone
    from py123d.datatypes.map_objects.map_layer_types import StopZoneType

    has_light = any(lane in signalised for lane in area.lane_ids)
    kind = StopZoneType.TRAFFIC_LIGHT if has_light else StopZoneType.STOP_SIGN
    return StopZone(int(area.area_id), kind, outline=_ring(area.outline), lane_ids=[int(name) for name in area.lane_ids])


def _line(points: np.ndarray) -> Any:
    from py123d.geometry import Polyline3D

    return Polyline3D.from_array(np.column_stack([points, np.zeros(len(points))]))


def _ring(outline: np.ndarray) -> Any:
    return _line(np.concatenate([outline, outline[:1]]))
