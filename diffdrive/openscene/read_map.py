"""Read the nuPlan map of a city."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import shapely

from diffdrive.contracts import InputError
from diffdrive.openscene.format import NO_OBJECT
from diffdrive.openscene.map_layers import MapLayer, id_text, map_file, read_layers
from diffdrive.scene import Area, AreaKind, Lane, MapConvention, VectorMap

_AREA_LAYERS = {
    "intersections": AreaKind.INTERSECTION,
    "crosswalks": AreaKind.CROSSWALK,
    "walkways": AreaKind.WALKWAY,
    "carpark_areas": AreaKind.CARPARK,
    "generic_drivable_areas": AreaKind.GENERIC_DRIVABLE,
}
_DRIVABLE = (AreaKind.INTERSECTION, AreaKind.CARPARK, AreaKind.GENERIC_DRIVABLE)
Lines = Mapping[str, np.ndarray]
"""[K, 2] points by id."""


def city_map(maps_root: Path, city: str) -> VectorMap:
    """The whole map of ``city``, metres in its UTM zone, with nuPlan's ids.

    ``maps_root`` holds ``nuplan-maps-v1.0.json`` and a folder for each city. Lanes and lane connectors are ``lanes``, in the
    order of their layers, with ``outline`` as it is drawn and every vertex of the baseline; a lane that has no baseline is
    left out, for nobody can follow it. Road blocks and their connectors are areas of the kind ``LANE_GROUP``, in the order
    of their layers; connectors of blocks that join no lanes are left out. Nobody is inside of a hole of what may be driven
    on; holes of other areas are lost. A stop zone names the connectors that its lights stop.

    Raises ``InputError`` for an index, city, file, layer or column that is not there, and for a lane and a connector of one
    id; ``ImportError`` without geopandas.
    """
    path = map_file(maps_root, city)
    layers = read_layers(path)
    lanes = (*_lanes(layers), *_connectors(layers))
    if twice := [i for i, count in Counter(lane.lane_id for lane in lanes).items() if count > 1]:
        raise InputError(
            f"{len(twice)} ids of the map '{path}' are those of a lane and of a lane connector, for example {twice[0]}. "
            "Successors, routes and lights would be ambiguous: number one of the layers anew."
        )
    return VectorMap(lanes=lanes, areas=tuple(_areas(layers)), convention=MapConvention.NUPLAN)


def _lanes(layers: Mapping[str, MapLayer]) -> list[Lane]:
    layer, connectors = layers["lanes_polygons"], layers["lane_connectors"]
    outlines = dict(zip(layer.ids, outlines_of(layer.shapes), strict=True))
    baselines, limits = _baselines(layers, "lane_fid"), _limits(layer)
    left, right = _sides(layers, layer, layer.ids, baselines, outlines)
    after = _collected(connectors.references("exit_lane_fid"), connectors.ids)
    before = _collected(connectors.references("entry_lane_fid"), connectors.ids)
    groups = layer.references("lane_group_fid")
    places = list(zip(groups, layer.numbers("lane_index").tolist(), strict=True))
    beside = dict(zip(places, layer.ids, strict=True))
    return [
        Lane(
            lane_id=i,
            centerline=baselines[i],
            left_boundary=left[i],
            right_boundary=right[i],
            predecessor_ids=tuple(before.get(i, ())),
            successor_ids=tuple(after.get(i, ())),
            left_lane_id=beside.get((group, place - 1)),
            right_lane_id=beside.get((group, place + 1)),
            lane_group_id=group or None,
            speed_limit_mps=limit,
            outline=outlines[i],
        )
        for i, (group, place), limit in zip(layer.ids, places, limits, strict=True)
        if i in baselines
    ]


def _connectors(layers: Mapping[str, MapLayer]) -> list[Lane]:
    layer, ground = layers["lane_connectors"], layers["gen_lane_connectors_scaled_width_polygons"]
    owners = ground.references("lane_connector_fid")
    outlines = dict(zip(owners, outlines_of(ground.shapes), strict=True))
    baselines = _baselines(layers, "lane_connector_fid")
    left, right = _sides(layers, ground, owners, baselines, outlines)
    intersections = set(layers["intersections"].ids)
    columns = [layer.references(name) for name in ("exit_lane_fid", "entry_lane_fid", "lane_group_connector_fid")]
    places = layer.references("intersection_fid")
    return [
        Lane(
            lane_id=i,
            centerline=baselines[i],
            left_boundary=left[i],
            right_boundary=right[i],
            predecessor_ids=_some(before),
            successor_ids=_some(after),
            lane_group_id=group or None,
            intersection_id=place if place in intersections else "",
            speed_limit_mps=limit,
            outline=outlines[i],
        )
        for i, before, after, group, place, limit in zip(layer.ids, *columns, places, _limits(layer), strict=True)
        if i in baselines and i in outlines
    ]


def _areas(layers: Mapping[str, MapLayer]) -> Iterable[Area]:
    connectors = layers["lane_connectors"]
    blocks, links = layers["lane_groups_polygons"], layers["lane_group_connectors"]
    for i, outline in zip(blocks.ids, outlines_of(blocks.shapes, bridged=True), strict=True):
        yield Area(area_id=i, kind=AreaKind.LANE_GROUP, outline=outline)
    used = set(connectors.references("lane_group_connector_fid"))
    for i, outline in zip(links.ids, outlines_of(links.shapes), strict=True):
        if i in used:
            yield Area(area_id=i, kind=AreaKind.LANE_GROUP, outline=outline)
    for name, kind in _AREA_LAYERS.items():
        layer = layers[name]
        parts, rows = shapely.get_parts(layer.shapes, return_index=True)
        for row, outline in zip(rows.tolist(), outlines_of(parts, bridged=kind in _DRIVABLE), strict=True):
            yield Area(area_id=layer.ids[row], kind=kind, outline=outline)
    stops = layers["stop_polygons"]
    stopped: dict[str, list[str]] = {}
    for connector, lines in zip(connectors.ids, connectors.references("traffic_light_stop_line_fids"), strict=True):
        for line in filter(None, map(id_text, lines.split(","))):
            stopped.setdefault(line, []).append(connector)
    for i, outline in zip(stops.ids, outlines_of(stops.shapes), strict=True):
        yield Area(area_id=i, kind=AreaKind.STOP_ZONE, outline=outline, lane_ids=tuple(stopped.get(i, ())))


def outlines_of(shapes: np.ndarray, *, bridged: bool = False) -> list[np.ndarray]:
    """[P, 2] exterior of each polygon, not repeated at the end; of a polygon in several parts, that of the largest one.

    ``bridged``: holes are part of the outline, which goes to each of them and back from its first point.
    """
    single = np.array([_largest(shape) if shape.geom_type != "Polygon" else shape for shape in shapes], dtype=object)
    outlines = [ring[:-1] for ring in _points(shapely.get_exterior_ring(single))]
    for row in np.flatnonzero(shapely.get_num_interior_rings(single)) if bridged else ():
        holes = _points(shapely.get_rings(single[row])[1:])
        outlines[row] = np.concatenate([outlines[row], *(part for hole in holes for part in (outlines[row][:1], hole))])
    return outlines


def _largest(shape: shapely.Geometry) -> shapely.Geometry:
    return max(shapely.get_parts(shape), key=lambda part: part.area)


def _points(lines: np.ndarray) -> list[np.ndarray]:
    """[K, 2] vertices of each line; heights are dropped."""
    points = shapely.get_coordinates(lines)
    points.flags.writeable = False
    ends: list[int] = np.cumsum(shapely.get_num_coordinates(lines)).tolist()
    return [points[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _baselines(layers: Mapping[str, MapLayer], owner: str) -> Lines:
    layer = layers["baseline_paths"]
    lines = zip(layer.references(owner), _points(layer.shapes), strict=True)
    return {i: line for i, line in lines if i and len(line) > 1}


def _sides(
    layers: Mapping[str, MapLayer], layer: MapLayer, owners: Sequence[str], baselines: Lines, outlines: Lines
) -> tuple[Lines, Lines]:
    """Left and right boundaries of lanes, along the driving direction; where the map has none, a side of the outline."""
    drawn = dict(zip(layers["boundaries"].ids, _points(layers["boundaries"].shapes), strict=True))
    sides: list[dict[str, np.ndarray]] = []
    for place, column in enumerate(("left_boundary_fid", "right_boundary_fid")):
        found: dict[str, np.ndarray] = {}
        for owner, boundary in zip(owners, layer.references(column), strict=True):
            if owner in baselines:
                baseline, line = baselines[owner], drawn.get(boundary)
                found[owner] = outline_sides(outlines[owner], baseline)[place] if line is None else _along(line, baseline)
        sides.append(found)
    return sides[0], sides[1]


def _along(line: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """``line`` in the direction of ``baseline``: two lanes share a boundary, and may run against each other."""
    return line if (line[-1] - line[0]) @ (baseline[-1] - baseline[0]) >= 0 else line[::-1]


def outline_sides(outline: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[L, 2], [R, 2] the sides of a lane's ``outline`` [P, 2], between the edges where its ``baseline`` begins and ends."""
    following = np.roll(outline, -1, axis=0)
    doubled_area = (outline[:, 0] * following[:, 1] - outline[:, 1] * following[:, 0]).sum()
    ring = outline if doubled_area > 0 else outline[::-1]  # counter-clockwise: the right side runs along the baseline
    edges = shapely.linestrings(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1))
    first, last = (int(np.argmin(shapely.distance(edges, shapely.Point(point)))) for point in (baseline[0], baseline[-1]))
    right = np.roll(ring, -first - 1, axis=0)[: (last - first - 1) % len(ring) + 1]
    left = np.roll(ring, -last - 1, axis=0)[: (first - last - 1) % len(ring) + 1]
    return left[::-1], right


def _limits(layer: MapLayer) -> list[float | None]:
    return [limit if limit > 0 else None for limit in layer.numbers("speed_limit_mps").tolist()]


def _collected(keys: Sequence[str], values: Sequence[str]) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for key, value in zip(keys, values, strict=True):
        result.setdefault(key, []).append(value)
    return result


def _some(name: str) -> tuple[str, ...]:
    return (name,) if name not in ("", str(NO_OBJECT)) else ()
