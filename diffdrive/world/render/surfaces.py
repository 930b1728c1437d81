"""What lies flat: ground, asphalt, walkways with curbs, and paint. Built from the vector map alone, in the town frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.scene import AreaKind, Lane, Line, LineKind, VectorMap
from diffdrive.world.render.extra import need
from diffdrive.world.render.mesh import Material, Mesh, coloured, joined
from diffdrive.world.render.shapes import ribbon, wall
from diffdrive.world.render.style import Style

CURB_M = 0.04
"""Low, because whoever walks is annotated at road level: a walkway of true height would hide feet that the label includes."""

CURB_STONE_M = 0.18
GROUND_Z = -0.04
PAINT_Z = 0.012
TILE_M = 60.0
GROUND_MARGIN_M = 260.0
CURB = (0.42, 0.41, 0.39)
BIKE_LANE = (0.08, 0.14, 0.10)
WHITE, YELLOW = (0.62, 0.62, 0.60), (0.56, 0.38, 0.04)
DRIVABLE = (AreaKind.INTERSECTION, AreaKind.GENERIC_DRIVABLE, AreaKind.CARPARK)

# (colour, dashed) of painted lines.
_PAINT: dict[LineKind, tuple[tuple[float, float, float], bool]] = {
    LineKind.DASHED_WHITE: (WHITE, True),
    LineKind.SOLID_WHITE: (WHITE, False),
    LineKind.DASHED_YELLOW: (YELLOW, True),
    LineKind.SOLID_YELLOW: (YELLOW, False),
}
DASH_M, GAP_M = 3.0, 4.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Where wheels and feet go: shapely geometries in the town frame."""

    drivable: Any
    walkway: Any
    paved: Any
    """The two together."""


def footprint(local_map: VectorMap) -> Footprint:
    """Unite lanes, intersections and other drivable areas; what remains of the walkways is walkway.

    A map without walkways gets a strip of 2.4 m along every road, so that roads have curbs everywhere.
    """
    shapely = need("shapely")
    outlines = [lane.polygon for lane in local_map.lanes] + [area.outline for area in local_map.areas_of(*DRIVABLE)]
    if not outlines:
        raise InputError("A town needs at least one lane or drivable area in its map, got none. Check the log's map.")
    # Neighbouring lane polygons touch only at vertices: growing and shrinking by 0.2 m closes hairline gaps between them.
    drivable = shapely.union_all(_polygons(outlines)).buffer(0.2, quad_segs=2).buffer(-0.2, quad_segs=2)
    walks = [area.outline for area in local_map.areas_of(AreaKind.WALKWAY)]
    if walks:
        walkway = shapely.union_all(_polygons(walks)).buffer(0.05, join_style="mitre")
    else:
        walkway = drivable.buffer(2.4, quad_segs=3)
    # Gutters: maps leave narrow gaps between road and walkway, through which grass would show.
    closed = shapely.union_all([drivable, walkway]).buffer(0.4, quad_segs=2).buffer(-0.4, quad_segs=2)
    drivable = closed.difference(walkway.difference(drivable)).simplify(0.04)
    walkway = walkway.simplify(0.05).difference(drivable)
    return Footprint(drivable=drivable, walkway=walkway, paved=shapely.union_all([drivable, walkway]))


def surfaces_mesh(local_map: VectorMap, area: Footprint, style: Style) -> Mesh:
    """Ground, road, walkways and everything painted on the road."""
    parts = [
        coloured(_ground(area.paved.bounds), Material.GROUND, style.grass),
        coloured(_flat(area.drivable, 0.0), Material.ASPHALT, style.asphalt),
        coloured(_flat(area.walkway, CURB_M), Material.PAVING, style.paving),
    ]
    rings = _rings(area.walkway.simplify(0.06))
    if rings:
        steps = np.concatenate([wall(ring, GROUND_Z, CURB_M) for ring in rings])
        # The step is low; a row of pale stones shows where it is.
        stones = np.concatenate([ribbon(ring, CURB_STONE_M, CURB_M + 0.004, CURB_STONE_M / 2) for ring in rings])
        parts += [coloured(steps, Material.MATTE, CURB), coloured(stones, Material.PAVING, CURB)]
    for lane in local_map.lanes:
        if lane.is_bike_lane and lane.intersection_id is None:
            parts += [coloured(_flat(poly, 0.005), Material.ASPHALT, BIKE_LANE) for poly in _polygons([lane.polygon])]
    parts += _lines(local_map)
    parts += [_crosswalk(outline) for outline in _polygons([a.outline for a in local_map.areas_of(AreaKind.CROSSWALK)])]
    parts += _stop_lines(local_map)
    return joined(parts)


def _polygons(outlines: Iterable[np.ndarray]) -> list[Any]:
    """Valid polygons of outlines [P, 2]; bow-ties are split, slivers dropped."""
    shapely = need("shapely")
    found = []
    for outline in outlines:
        if len(outline) < 3:
            continue
        shape = shapely.make_valid(shapely.Polygon(outline))
        found += [
            part for part in shapely.get_parts(shape, return_index=False) if part.area > 1e-3 and "Polygon" in part.geom_type
        ]
    return found


def _rings(geometry: Any) -> list[np.ndarray]:
    """Closed outlines [P, 2] with the inside on their left."""
    shapely = need("shapely")
    polygons = [part for part in shapely.get_parts(shapely.orient_polygons(geometry)) if part.geom_type == "Polygon"]
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)] if polygons else []


def _flat(geometry: Any, z: float) -> np.ndarray:
    """Triangles [T, 3, 3] of a polygon geometry at height ``z``, cut into tiles so that a tile can be culled."""
    shapely = need("shapely")
    if geometry.is_empty:
        return np.zeros((0, 3, 3))
    x0, y0, x1, y1 = geometry.bounds
    xs, ys = np.arange(x0, x1, TILE_M), np.arange(y0, y1, TILE_M)
    tiles = shapely.box(*(a.ravel() for a in np.meshgrid(xs, ys)), *(a.ravel() for a in np.meshgrid(xs + TILE_M, ys + TILE_M)))
    pieces = shapely.get_parts(shapely.intersection(geometry, tiles) if len(tiles) > 1 else geometry)
    pieces = pieces[(shapely.get_type_id(pieces) == 3) & (shapely.area(pieces) > 1e-3)]
    if len(pieces) == 0:
        return np.zeros((0, 3, 3))
    faces = shapely.get_parts(shapely.constrained_delaunay_triangles(pieces))
    corners = shapely.get_coordinates(shapely.orient_polygons(faces)).reshape(-1, 4, 2)[:, :3]
    return np.concatenate([corners, np.full((*corners.shape[:2], 1), z)], axis=2)


def _ground(bounds: tuple[float, float, float, float]) -> np.ndarray:
    """A lawn of two triangles a tile, well beyond the town."""
    x0, y0, x1, y1 = bounds
    xs = np.arange(x0 - GROUND_MARGIN_M, x1 + GROUND_MARGIN_M, TILE_M)
    ys = np.arange(y0 - GROUND_MARGIN_M, y1 + GROUND_MARGIN_M, TILE_M)
    corner = np.stack([*np.meshgrid(xs, ys), np.full((len(ys), len(xs)), GROUND_Z)], axis=-1).reshape(-1, 3)
    a, b, c, d = corner, corner + [TILE_M, 0, 0], corner + [TILE_M, TILE_M, 0], corner + [0, TILE_M, 0]
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _lines(local_map: VectorMap) -> list[Mesh]:
    lines = [line for line in local_map.lines if line.kind in _PAINT] or _lines_from_lanes(local_map)
    bands: dict[tuple[float, float, float], list[np.ndarray]] = defaultdict(list)
    for line in lines:
        colour, dashed = _PAINT[line.kind]
        bands[colour] += [ribbon(piece, 0.14, PAINT_Z) for piece in _pieces(_simple(line.points), dashed)]
    return [coloured(np.concatenate(found), Material.MARKING, colour) for colour, found in bands.items() if found]


def _lines_from_lanes(local_map: VectorMap) -> list[Line]:
    """Paint for maps that name none: dashes between neighbours, yellow at the left and white at the right of a carriageway."""
    lines = []
    for lane in local_map.lanes:
        if lane.intersection_id is not None:
            continue
        left = LineKind.SOLID_YELLOW if lane.left_lane_id is None else LineKind.DASHED_WHITE
        lines.append(Line(line_id=f"{lane.lane_id}-left", kind=left, points=lane.left_boundary))
        if lane.right_lane_id is None:
            lines.append(Line(line_id=f"{lane.lane_id}-right", kind=LineKind.SOLID_WHITE, points=lane.right_boundary))
    return lines


def _simple(points: np.ndarray) -> np.ndarray:
    shapely = need("shapely")
    return shapely.get_coordinates(shapely.simplify(shapely.LineString(points), 0.03)) if len(points) > 2 else points


def _pieces(points: np.ndarray, dashed: bool) -> list[np.ndarray]:
    """The whole polyline, or its dashes; nothing where it has no length."""
    try:
        line = Polyline(points)
    except InputError:
        return []
    if not dashed:
        return [line.points]
    return [_between(line, start, start + DASH_M) for start in np.arange(0.75, line.length - 1.0, DASH_M + GAP_M)]


def _between(line: Polyline, start: float, end: float) -> np.ndarray:
    inner = line.arc[(line.arc > start) & (line.arc < end)]
    return line.interpolate(np.concatenate([[start], inner, [min(end, line.length)]]))[:, :2]


def _crosswalk(polygon: Any) -> Mesh:
    """Zebra stripes across the walking direction, which is the longer side of the crosswalk."""
    shapely = need("shapely")
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))[:4]
    edges = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    k = int(np.argmax(lengths[:2]))
    along, across = edges[k] / lengths[k], edges[k + 1]
    stripes = []
    for start in np.arange(0.3, lengths[k] - 0.3, 1.0):
        a, b = corners[k] + along * start, corners[k] + along * (start + 0.5)
        stripes.append(shapely.Polygon([a, b, b + across, a + across]))
    if not stripes:
        return joined([])
    cut = shapely.union_all(shapely.intersection(polygon, np.array(stripes)))
    return coloured(_flat(cut, PAINT_Z), Material.MARKING, WHITE)


def _stop_lines(local_map: VectorMap) -> list[Mesh]:
    """A bar across every lane that ends at a stop zone."""
    shapely = need("shapely")
    zones = local_map.areas_of(AreaKind.STOP_ZONE)
    named = {lane_id for zone in zones for lane_id in zone.lane_ids}
    polygons = _polygons([zone.outline for zone in zones])
    near = shapely.union_all(polygons).buffer(1.0) if polygons else shapely.Polygon()
    shapely.prepare(near)
    parts = []
    for lane in local_map.lanes:
        if lane.intersection_id is not None:
            if lane.lane_id not in named:
                continue
            end, heading, width = _gate(lane.left_boundary[0], lane.right_boundary[0])
        else:
            end, heading, width = _gate(lane.left_boundary[-1], lane.right_boundary[-1])
            if lane.lane_id not in named and not shapely.intersects_xy(near, *end):
                continue
        parts.append(_bar(end, heading, width))
    return parts


def _gate(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle [2], driving direction [2] and width of the opening between two boundary points."""
    side = left - right
    width = float(np.hypot(*side))
    unit = side / max(width, 1e-6)
    return (left + right) / 2, np.array([unit[1], -unit[0]]), width


def _bar(end: np.ndarray, direction: np.ndarray, width: float) -> Mesh:
    side = np.array([-direction[1], direction[0]]) * width * 0.47
    back = end - direction * 0.5
    return coloured(ribbon(np.stack([back - side, back + side]), 0.4, PAINT_Z + 0.002), Material.MARKING, WHITE)


def lane_entry(lane: Lane) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle [2], driving direction [2] and width of a lane's entry."""
    return _gate(lane.left_boundary[0], lane.right_boundary[0])


def lane_exit(lane: Lane) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle [2], driving direction [2] and width of a lane's end."""
    return _gate(lane.left_boundary[-1], lane.right_boundary[-1])


def off_road(drivable: Any, point: np.ndarray, left: np.ndarray, start: float) -> float | None:
    """The first offset along ``left`` [2], to the right of ``start``, that is off the road; None where none is within 14 m."""
    shapely = need("shapely")
    shapely.prepare(drivable)
    offsets = start - np.arange(0.3, 14.0, 0.35)
    points = point + left * offsets[:, None]
    free = ~shapely.dwithin(drivable, shapely.points(points), 0.35)
    return float(offsets[np.argmax(free)]) if free.any() else None
