"""Areas and lines of a town: what is drivable, what is a pavement, where one stops, and what is painted.

An ``Area`` is an outline without holes, so the road surface is kept as one piece per street direction, per junction and per
parking strip. Neighbouring pieces overlap by a few centimetres: their union has no hairline gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon
from shapely.ops import substring, unary_union

from diffdrive.scene import Area, AreaKind, Lane, Line, LineKind
from diffdrive.world.roads.street import StreetKind

OVERLAP_M = 0.06
SIMPLIFY_M = 0.02
STOP_ZONE_DEPTH_M = 1.5
EDGE_PIECE_M = 40.0
"""Road edges are cut into pieces about this long, so that a search near a point does not return the whole block."""

SOLID_BEFORE_STOP_M = 20.0
MIN_AREA_M2 = 0.5
SLIVER_M = 0.3
BEND_GAP_M = 2.0
BEND_ROOM_M = 0.6
"""Roads are wider in a bend: long vehicles need it."""

GUTTER_M = 0.5
"""Between the outermost lane and the kerb. Lanes of 3.5 m leave a car of 2.3 m little room to swing wide after a turn."""

SHOULDER_M = 1.0
"""Likewise along expressways and ramps."""

TAPER_M = 30.0
CURB_RETURN_M = 10.0
"""Radius of the curve that joins the kerbs of two streets at a corner: cars with a long wheelbase cut it otherwise."""


def offset_polyline(points: np.ndarray, offset: np.ndarray | float) -> np.ndarray:
    """The line [K, 2] moved to its left by ``offset`` (metres, one number or one per point), corner for corner."""
    steps = np.diff(points, axis=0)
    normals = np.stack([-steps[:, 1], steps[:, 0]], axis=1) / np.hypot(steps[:, 0], steps[:, 1])[:, None]
    before, after = np.concatenate([normals[:1], normals]), np.concatenate([normals, normals[-1:]])
    mean = before + after
    # Mitre joint: the mean normal is stretched so that both pieces keep their distance; sharp corners are cut at twice that.
    scale = 2.0 / np.maximum(np.sum(mean * mean, axis=1), 1.0)
    return points + mean * (scale * np.broadcast_to(offset, len(points)))[:, None]


def simplified(points: np.ndarray) -> np.ndarray:
    """The line [K, 2] with as few of its points as keep it within ``SIMPLIFY_M``."""
    return np.array(LineString(points).simplify(SIMPLIFY_M).coords)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surfaces:
    """What the ground of a town is made of."""

    streets: list[Polygon]
    junctions: dict[str, list[Polygon]]
    """By map id."""

    corners: list[Polygon]
    """What curb returns add to the junctions, and tapers to where a lane begins or ends."""

    parking: list[Polygon]
    walking: list[Polygon]
    """Pavements and the corners of junctions; turning cars may sweep over parts of them."""

    crossings: list[Polygon]

    @property
    def drivable(self) -> list[Polygon]:
        """Streets and junctions, without parking."""
        return self.streets + self.corners + [part for parts in self.junctions.values() for part in parts]


def surfaces_of_town(net: Any, lanes: tuple[Lane, ...], lane_of: Mapping[str, str], junctions: Mapping[str, str]) -> Surfaces:
    """Cut the ground into pieces. ``lane_of`` and ``junctions`` map SUMO's names to map ids."""
    walking, crossings, parking = [], [], []
    for edge in sorted(net.getEdges(), key=lambda e: e.getID()):
        for lane in edge.getLanes():
            shape = [point[:2] for point in lane.getShape()]
            if edge.getFunction() == "walkingarea":
                walking += _polygons(Polygon(shape).buffer(0))
            elif edge.getFunction() == "crossing":
                crossings.append(LineString(shape).buffer(lane.getWidth() / 2, cap_style="flat"))
            elif not edge.getFunction() and not lane.getPermissions():
                parking += _polygons(_band(shape, lane.getWidth()))
            elif not edge.getFunction() and lane.allows("pedestrian"):
                walking += _polygons(_band(shape, lane.getWidth()))
    streets = _street_pieces(net, lanes, lane_of)
    pieces = _junction_pieces(net, lanes, junctions, unary_union(walking))
    # SUMO ends the pavement at the outside of a bend between two streets; it goes on wherever no car drives there.
    walking += [part for node in net.getNodes() if _is_bend(node) for part in _polygons(_outline(node))]
    # Nobody walks where an expressway forks, and its median must not be paved over.
    turned = {junctions[e.getFromNode().getID()] for e in net.getEdges() if e.getFunction() == "walkingarea"}
    return Surfaces(
        streets=streets,
        junctions=pieces,
        corners=_corners([pieces[name] for name in pieces if name in turned], [*streets, *parking])
        + _tapers(net, lanes, lane_of),
        parking=parking,
        walking=walking,
        crossings=crossings,
    )


def areas_of_town(surfaces: Surfaces, lanes: tuple[Lane, ...], stops: Mapping[str, tuple[str, ...]]) -> tuple[Area, ...]:
    """Every area of the map. ``stops`` maps lanes at whose end one stops to the connectors that this governs."""
    road = unary_union([*surfaces.drivable, *surfaces.parking]).buffer(OVERLAP_M)
    areas = [
        *_areas(AreaKind.GENERIC_DRIVABLE, surfaces.drivable),
        *_areas(AreaKind.CARPARK, surfaces.parking),
        *_areas(AreaKind.CROSSWALK, surfaces.crossings),
        *_areas(AreaKind.WALKWAY, [piece.difference(road) for piece in surfaces.walking]),
    ]
    for name, parts in surfaces.junctions.items():
        areas.append(_area(name, AreaKind.INTERSECTION, max(parts, key=lambda part: part.area)))
    by_id = {lane.lane_id: lane for lane in lanes}
    for number, (lane_id, connectors) in enumerate(sorted(stops.items(), key=lambda item: int(item[0]))):
        zone = _stop_zone(by_id[lane_id])
        areas.append(Area(area_id=str(number + 1), kind=AreaKind.STOP_ZONE, outline=zone, lane_ids=connectors))
    return tuple(areas)


def lines_of_town(net: Any, surfaces: Surfaces, lanes: tuple[Lane, ...], lane_of: Mapping[str, str]) -> tuple[Line, ...]:
    """Road edges and lane markings."""
    lines = [(LineKind.ROAD_EDGE, points) for points in _road_edges([*surfaces.drivable, *surfaces.parking])]
    by_id = {lane.lane_id: lane for lane in lanes}
    edges = sorted(net.getEdges(), key=lambda e: e.getID())
    driven = {e.getID(): [by_id[lane_of[lane.getID()]] for lane in e.getLanes() if lane.getID() in lane_of] for e in edges}
    for edge in edges:
        back = f"{edge.getToNode().getID()}-{edge.getFromNode().getID()}"
        # The line between the two directions belongs to both of them: only one of the two draws it.
        lines += _markings(edge, driven[edge.getID()], has_middle=edge.getID() < back and bool(driven.get(back)))
    return tuple(Line(line_id=str(i + 1), kind=kind, points=points) for i, (kind, points) in enumerate(lines))


def _band(shape: Any, width: float) -> Polygon:
    return LineString(shape).buffer(width / 2 + OVERLAP_M, cap_style="flat", join_style="mitre")


def _street_pieces(net: Any, lanes: tuple[Lane, ...], lane_of: Mapping[str, str]) -> list[Polygon]:
    """One polygon per street direction: driving and bicycle lanes together, and the gutter beside them."""
    by_id = {lane.lane_id: lane for lane in lanes}
    pieces = []
    for edge in sorted(net.getEdges(), key=lambda e: e.getID()):
        members = [by_id[lane_of[lane.getID()]] for lane in edge.getLanes() if lane.getID() in lane_of]
        if not members or edge.getFunction():
            continue
        beside = _beside([edge])
        union = unary_union([Polygon(lane.polygon).buffer(beside, cap_style="flat", join_style="mitre") for lane in members])
        pieces += _polygons(union)
    return pieces


def _beside(edges: list[Any]) -> float:
    """Width of the gutter or shoulder along these."""
    fast = (StreetKind.EXPRESSWAY.value, StreetKind.RAMP.value)
    return SHOULDER_M if all(edge.getType() in fast for edge in edges if not edge.getFunction()) else GUTTER_M


def _corners(junctions: list[list[Polygon]], streets: list[Polygon]) -> list[Polygon]:
    """The ground between the streets of each junction and the curb returns that join them."""
    tree = shapely.STRtree(streets)
    corners = []
    for parts in junctions:
        core = unary_union(parts)
        reach = core.buffer(CURB_RETURN_M + 2.0)
        around = core.buffer(3.0 * CURB_RETURN_M)
        near = [streets[int(k)].intersection(around) for k in tree.query(around)]
        paved = unary_union([core, *near])
        # What a disc of the radius cannot reach from outside lies within the returns.
        returns = paved.buffer(CURB_RETURN_M).buffer(-CURB_RETURN_M).difference(paved).intersection(reach)
        corners += [part.buffer(OVERLAP_M) for part in _polygons(returns)]
    return corners


def _tapers(net: Any, lanes: tuple[Lane, ...], lane_of: Mapping[str, str]) -> list[Polygon]:
    """Where a street goes on with a lane more or less, its edge runs over in ``TAPER_M``."""
    by_id = {lane.lane_id: lane for lane in lanes}
    tapers = []
    for node in sorted(net.getNodes(), key=lambda n: n.getID()):
        before, after = ([e for e in edges if not e.getFunction()] for edges in (node.getIncoming(), node.getOutgoing()))
        if len(before) != 1 or len(after) != 1 or len(before[0].getLanes()) == len(after[0].getLanes()):
            continue
        ends, begins = (by_id[lane_of[edge.getLanes()[0].getID()]].right_boundary for edge in (before[0], after[0]))
        # Seen from the wider street, whichever way one drives.
        wide, narrow = ends[-1], begins
        if len(before[0].getLanes()) < len(after[0].getLanes()):
            wide, narrow = begins[0], ends[::-1]
        side = np.array(substring(LineString(narrow), 0.0, TAPER_M).coords)
        tapers += _polygons(Polygon([wide, *side]).buffer(SHOULDER_M, join_style="mitre"))
    return tapers


def _junction_pieces(net: Any, lanes: tuple[Lane, ...], junctions: Mapping[str, str], walking: Any) -> dict[str, list[Polygon]]:
    """Where cars may be inside each junction, by its map id; junctions without any such place are left out.

    SUMO's junction shape includes the corners where people wait; those are taken out first, and then the bands of the
    connectors are put back in, because turning cars do sweep over parts of those corners.
    """
    bands: dict[str, list[Polygon]] = {}
    for lane in lanes:
        if lane.intersection_id is not None:
            bands.setdefault(lane.intersection_id, []).append(Polygon(lane.polygon))
    pieces = {}
    for node in sorted(net.getNodes(), key=lambda n: n.getID()):
        name = junctions[node.getID()]
        core, beside = _outline(node), _beside([*node.getIncoming(), *node.getOutgoing()])
        # Between two pieces of pavement a sliver of the junction may be left, which is no road.
        core = core.difference(walking).buffer(-SLIVER_M).buffer(SLIVER_M)
        if _is_bend(node):
            core = core.intersection(unary_union(bands[name]).buffer(beside + BEND_ROOM_M + BEND_GAP_M).buffer(-BEND_GAP_M))
        union = unary_union([core, *(band.buffer(beside) for band in bands.get(name, []))]).buffer(0.3).buffer(-0.25)
        if parts := _polygons(union):
            pieces[name] = parts
    return pieces


def _outline(node: Any) -> Any:
    shape = node.getShape()
    return Polygon([point[:2] for point in shape]).buffer(0) if len(shape) > 2 else Polygon()


def _is_bend(node: Any) -> bool:
    """Whether just two streets with pavements meet here."""
    edges = [edge for edge in (*node.getIncoming(), *node.getOutgoing()) if not edge.getFunction()]
    ends = {end.getID() for edge in edges for end in (edge.getFromNode(), edge.getToNode())}
    return len(ends) == 3 and any(lane.allows("pedestrian") for edge in edges for lane in edge.getLanes())


def _stop_zone(lane: Lane) -> np.ndarray:
    """The last piece of a lane before its junction, as a quadrilateral."""
    center = LineString(lane.centerline)
    piece = np.array(substring(center, center.length - STOP_ZONE_DEPTH_M, center.length).coords)
    width = float(np.hypot(*(lane.left_boundary[-1] - lane.right_boundary[-1])))
    left, right = offset_polyline(piece, width / 2), offset_polyline(piece, -width / 2)
    return np.concatenate([left, right[::-1]])


def _road_edges(pieces: list[Polygon]) -> list[np.ndarray]:
    surface = unary_union(pieces).buffer(0.2).buffer(-0.2)
    edges = []
    for polygon in _polygons(surface, keep_holes=True):
        for ring in (polygon.exterior, *polygon.interiors):
            line = LineString(ring.coords).simplify(SIMPLIFY_M)
            count = max(1, int(np.ceil(line.length / EDGE_PIECE_M)))
            stations = np.linspace(0.0, line.length, count + 1)
            edges += [np.array(substring(line, a, b).coords) for a, b in pairwise(stations)]
    return edges


def _markings(edge: Any, driven: list[Lane], *, has_middle: bool) -> list[tuple[LineKind, np.ndarray]]:
    cars = [lane for lane in driven if not lane.is_bike_lane]
    if not cars:
        return []
    lines: list[tuple[LineKind, np.ndarray]] = []
    if has_middle:
        yellow = LineKind.SOLID_YELLOW if edge.getPriority() > 1 else LineKind.DASHED_YELLOW
        lines.append((yellow, cars[-1].left_boundary))
    stops = edge.getToNode().getType() == "traffic_light"
    for lane in cars[:-1]:
        line = LineString(lane.left_boundary)
        split = max(line.length - SOLID_BEFORE_STOP_M, 0.5 * line.length) if stops else line.length
        lines.append((LineKind.DASHED_WHITE, np.array(substring(line, 0.0, split).coords)))
        if split < line.length:
            lines.append((LineKind.SOLID_WHITE, np.array(substring(line, split, line.length).coords)))
    # A bicycle lane or a parking strip lies between the cars and the kerb.
    if any(not lane.allows("pedestrian") and not lane.allows("passenger") for lane in edge.getLanes()):
        lines.append((LineKind.SOLID_WHITE, cars[0].right_boundary))
    return lines


def _polygons(shape: Any, keep_holes: bool = False) -> list[Polygon]:
    """The parts of a shape that are areas; holes are filled unless asked for."""
    parts = shape.geoms if isinstance(shape, MultiPolygon) or hasattr(shape, "geoms") else [shape]
    polygons = [part for part in parts if isinstance(part, Polygon) and part.area > MIN_AREA_M2]
    return polygons if keep_holes else [Polygon(part.exterior) for part in polygons]


def _areas(kind: AreaKind, shapes: list[Any]) -> list[Area]:
    parts = [part for shape in shapes for part in _polygons(shape)]
    return [_area(str(i + 1), kind, part) for i, part in enumerate(parts)]


def _area(area_id: str, kind: AreaKind, polygon: Polygon) -> Area:
    slim = polygon.simplify(SIMPLIFY_M)
    return Area(area_id=area_id, kind=kind, outline=np.array(shapely.geometry.polygon.orient(slim).exterior.coords)[:-1, :2])
