"""One map for one of the devkit's cities, made of the maps of any number of logs.

Maps are laid side by side with gaps that no query bridges. Every object gets a whole number of its own: the devkit keeps lanes
and connectors, and road blocks and their connectors, in one dictionary each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from diffdrive.openscene.format import LAYERS, NO_OBJECT, STOP_SIGN, TRAFFIC_LIGHT, City
from diffdrive.openscene.outlines import grown, outline_around, polygon_of, with_vertices
from diffdrive.openscene.road_graph import Connector, Piece, RoadGraph, road_graph
from diffdrive.scene import AreaKind, VectorMap

GAP_M = 1000.0
"""Between two maps. NAVSIM looks 100 m around the ego."""

_AREA_LAYERS: dict[AreaKind, tuple[str, ...]] = {
    # NAVSIM's drivable area has no place for other drivable ground but car parks.
    AreaKind.CARPARK: ("carpark_areas",),
    AreaKind.GENERIC_DRIVABLE: ("generic_drivable_areas", "carpark_areas"),
    AreaKind.CROSSWALK: ("crosswalks",),
    AreaKind.WALKWAY: ("walkways",),
}
_DRIVABLE = ("carpark_areas", "generic_drivable_areas")

Row = tuple[shapely.Geometry, dict[str, Any]]
"""A geometry and its columns, ``fid`` among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One log's map (or that of several logs) in its place."""

    vector_map: VectorMap
    graph: RoadGraph
    shift: np.ndarray
    """[2] what to add to the map's coordinates, whole metres."""

    lane_fids: Mapping[str, int]
    """Of lanes and connectors, by key."""

    block_fids: Mapping[str, int]
    """Of road blocks and their connectors, by key."""

    connector_fids: Mapping[str, tuple[int, ...]]
    """The connectors that were made of a lane of the old map, by its id: a signal governs all of them."""

    signals: set[str] = field(default_factory=set)
    """Ids of old lanes that a signal was seen to govern; filled while logs are written."""


def sheets_of(maps: Sequence[VectorMap], city: City) -> tuple[list[Sheet], Iterator[int]]:
    """Each map in its place, and the numbers that are left for other objects. Raises ``InputError`` for one without lanes."""
    numbers = itertools.count(NO_OBJECT + 1)
    graphs = [road_graph(vector_map) for vector_map in maps]
    shifts = _shifts([_bounds(vector_map) for vector_map in maps], city)
    return [_sheet(*given, numbers) for given in zip(maps, graphs, shifts, strict=True)], numbers


def _sheet(vector_map: VectorMap, graph: RoadGraph, shift: np.ndarray, numbers: Iterator[int]) -> Sheet:
    lane_fids = {key: next(numbers) for key in (*graph.lanes, *graph.connectors)}
    connector_fids: dict[str, tuple[int, ...]] = {}
    for key, connector in graph.connectors.items():
        if connector.intersection_id is not None:
            lane_id = connector.source.lane_id
            connector_fids[lane_id] = (*connector_fids.get(lane_id, ()), lane_fids[key])
    return Sheet(
        vector_map=vector_map,
        graph=graph,
        shift=shift,
        lane_fids=lane_fids,
        block_fids={key: next(numbers) for key in graph.blocks},
        connector_fids=connector_fids,
    )


def _bounds(vector_map: VectorMap) -> np.ndarray:
    points = np.concatenate([*(lane.polygon for lane in vector_map.lanes), *(area.outline for area in vector_map.areas)])
    return np.array([points.min(axis=0), points.max(axis=0)])


def _shifts(bounds: Sequence[np.ndarray], city: City) -> list[np.ndarray]:
    """Row by row in a square of equal cells."""
    if not bounds:
        return []
    columns = int(np.ceil(np.sqrt(len(bounds))))
    cell = np.ceil(np.max([high - low for low, high in bounds], axis=0) + GAP_M)
    origin = np.array(city.origin)
    return [origin + cell * np.array([i % columns, i // columns]) - np.floor(low) for i, (low, _) in enumerate(bounds)]


def layers_of(sheet: Sheet, numbers: Iterator[int]) -> dict[str, list[Row]]:
    """Every layer of the format with this sheet's rows, in the city's coordinates."""
    rows: dict[str, list[Row]] = {name: [] for name in LAYERS}
    intersections = _add_intersections(sheet, numbers, rows)
    stops = _add_stops(sheet, numbers, rows)
    _add_blocks(sheet, numbers, intersections, rows)
    _add_lanes(sheet, numbers, rows)
    _add_connectors(sheet, numbers, intersections, stops, rows)
    for kind, names in _AREA_LAYERS.items():
        for area in sheet.vector_map.areas_of(kind):
            polygon = polygon_of(area.outline)
            for name in names:
                rows[name].append((grown(polygon) if name in _DRIVABLE else polygon, {"fid": next(numbers)}))
    return {
        name: list(zip(_moved([shape for shape, _ in found], sheet.shift), [columns for _, columns in found], strict=True))
        for name, found in rows.items()
    }


def _moved(shapes: Sequence[shapely.Geometry], shift: np.ndarray) -> list[shapely.Geometry]:
    return list(shapely.transform(np.array(shapes, dtype=object), lambda points: points + shift))


def _add_intersections(sheet: Sheet, numbers: Iterator[int], rows: dict[str, list[Row]]) -> dict[str, int]:
    """Numbers of intersections by the map's ids. One without an area of its own lies where its connectors lie."""
    areas = {area.area_id: polygon_of(area.outline) for area in sheet.vector_map.areas_of(AreaKind.INTERSECTION)}
    bare: dict[str, list[shapely.Polygon]] = {}
    for connector in sheet.graph.connectors.values():
        if connector.intersection_id is not None and connector.intersection_id not in areas:
            bare.setdefault(connector.intersection_id, []).append(polygon_of(connector.outline))
    parts = list(areas.items())
    parts += [(name, polygon) for name, polygons in bare.items() for polygon in polygons]
    fids: dict[str, int] = {}
    for name, polygon in parts:
        fid = next(numbers)
        fids.setdefault(name, fid)
        rows["intersections"].append((grown(polygon), {"fid": fid}))
    return fids


def _add_stops(sheet: Sheet, numbers: Iterator[int], rows: dict[str, list[Row]]) -> dict[str, list[int]]:
    """Numbers of the stop lines with a signal, by the lane that stops there."""
    signalled: dict[str, list[int]] = {}
    for area in sheet.vector_map.areas_of(AreaKind.STOP_ZONE):
        fid, lanes = next(numbers), sheet.signals.intersection(area.lane_ids)
        kind = TRAFFIC_LIGHT if lanes else STOP_SIGN
        rows["stop_polygons"].append((polygon_of(area.outline), {"fid": fid, "stop_polygon_type_fid": kind}))
        for lane_id in lanes:
            signalled.setdefault(lane_id, []).append(fid)
    return signalled


def _add_blocks(sheet: Sheet, numbers: Iterator[int], intersections: Mapping[str, int], rows: dict[str, list[Row]]) -> None:
    areas = {area.area_id: polygon_of(area.outline) for area in sheet.vector_map.areas_of(AreaKind.LANE_GROUP)}
    members: dict[str, list[Piece]] = {}
    for piece in (*sheet.graph.lanes.values(), *sheet.graph.connectors.values()):
        members.setdefault(piece.block, []).append(piece)
    for key, block in sheet.graph.blocks.items():
        fid, pieces = sheet.block_fids[key], members[key]
        polygon = None if block.is_stub or block.is_inserted else areas.get(block.source)
        if polygon is None:
            polygon = outline_around([polygon_of(piece.outline) for piece in pieces])
        if block.from_block is None or block.to_block is None:
            rows["lane_groups_polygons"].append((grown(polygon), {"fid": fid}))
            rows["road_segments"].append((grown(polygon), {"fid": next(numbers)}))
            continue
        columns = {
            "fid": fid,
            "from_lane_group_fid": sheet.block_fids[block.from_block],
            "to_lane_group_fid": sheet.block_fids[block.to_block],
            "intersection_fid": _intersection(pieces[0], intersections),
        }
        rows["lane_group_connectors"].append((polygon, columns))


def _intersection(piece: Piece, fids: Mapping[str, int]) -> int:
    if isinstance(piece, Connector) and piece.intersection_id is not None:
        return fids[piece.intersection_id]
    return NO_OBJECT


def _add_lanes(sheet: Sheet, numbers: Iterator[int], rows: dict[str, list[Row]]) -> None:
    places = _places(sheet.graph)
    for key, lane in sheet.graph.lanes.items():
        fid = sheet.lane_fids[key]
        columns = {
            "fid": fid,
            "lane_fid": fid,
            "lane_group_fid": sheet.block_fids[lane.block],
            "lane_index": places[key],
            **_add_sides(lane, numbers, rows),
            "speed_limit_mps": _limit(lane),
            "source_id": lane.source.lane_id,
        }
        rows["lanes_polygons"].append((polygon_of(lane.outline), columns))
        ids = {"fid": next(numbers), "lane_fid": fid, "lane_connector_fid": np.nan}
        rows["baseline_paths"].append((shapely.LineString(with_vertices(lane.centerline)), ids))


def _places(graph: RoadGraph) -> dict[str, int]:
    """Each lane's place in its road block, from the left to the right."""
    blocks: dict[str, list[Piece]] = {}
    for lane in graph.lanes.values():
        blocks.setdefault(lane.block, []).append(lane)
    places: dict[str, int] = {}
    for lanes in blocks.values():
        along = lanes[0].centerline[-1] - lanes[0].centerline[0]
        across = np.array([along[1], -along[0]])
        lanes.sort(key=lambda lane: float(lane.centerline.mean(axis=0) @ across))
        places.update((lane.key, place) for place, lane in enumerate(lanes))
    return places


def _add_connectors(
    sheet: Sheet,
    numbers: Iterator[int],
    intersections: Mapping[str, int],
    stops: Mapping[str, list[int]],
    rows: dict[str, list[Row]],
) -> None:
    for key, connector in sheet.graph.connectors.items():
        fid, line = sheet.lane_fids[key], shapely.LineString(with_vertices(connector.centerline))
        lines = [] if connector.intersection_id is None else stops.get(connector.source.lane_id, [])
        columns = {
            "fid": fid,
            "exit_lane_fid": sheet.lane_fids[connector.from_lane],
            "entry_lane_fid": sheet.lane_fids[connector.to_lane],
            "lane_group_connector_fid": sheet.block_fids[connector.block],
            "intersection_fid": _intersection(connector, intersections),
            "speed_limit_mps": _limit(connector),
            "traffic_light_stop_line_fids": ",".join(str(number) for number in lines),
            "source_id": connector.source.lane_id,
        }
        rows["lane_connectors"].append((line, columns))
        ids = {"fid": next(numbers), "lane_fid": np.nan, "lane_connector_fid": fid}
        rows["baseline_paths"].append((line, ids))
        shape = {"fid": next(numbers), "lane_connector_fid": fid, **_add_sides(connector, numbers, rows)}
        rows["gen_lane_connectors_scaled_width_polygons"].append((polygon_of(connector.outline), shape))


def _add_sides(piece: Piece, numbers: Iterator[int], rows: dict[str, list[Row]]) -> dict[str, int]:
    fids = {"left_boundary_fid": next(numbers), "right_boundary_fid": next(numbers)}
    for fid, side in zip(fids.values(), (piece.left_boundary, piece.right_boundary), strict=True):
        rows["boundaries"].append((shapely.LineString(side), {"fid": fid}))
    return fids


def _limit(piece: Piece) -> float:
    # Maps also write "no limit" as 0.
    limit = piece.source.speed_limit_mps or 0.0
    return limit if limit > 0 else float("nan")
