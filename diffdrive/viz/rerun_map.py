"""A vector map as Rerun shapes: surfaces as triangles, paint and edges as lines, signals as coloured stop bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import shapely

from diffdrive.scene import AreaKind, Lane, TrafficLight, VectorMap
from diffdrive.viz import palette
from diffdrive.viz.map_layer import stop_bar

LINE_HEIGHT_M = 0.06
"""Lines lie this far above the ground, or the surfaces would swallow them."""

_SURFACE_STEP_M = 0.01
_PAINT_RADIUS_M = 0.07
_CENTERLINE_RADIUS_M = 0.04
_STOP_BAR_RADIUS_M = 0.15
_SIGNAL_HEIGHT_M = 4.0


def map_shapes(vector_map: VectorMap, origin: np.ndarray) -> dict[str, Any]:
    """Rerun archetypes by name, for a map in the world frame that is shown with ``origin`` [2] at zero.

    Later names lie on top of earlier ones. What the map lacks is left out.
    """
    surfaces = {kind.value: [area.outline for area in vector_map.areas_of(kind)] for kind in palette.AREAS}
    crossings = surfaces.pop(AreaKind.CROSSWALK.value)
    colours = {kind.value: colour for kind, colour in palette.AREAS.items()} | {"lanes": palette.ROAD}
    surfaces |= {"lanes": [lane.polygon for lane in vector_map.lanes], AreaKind.CROSSWALK.value: crossings}
    shapes: dict[str, Any] = {}
    for order, (name, outlines) in enumerate(surfaces.items()):
        vertices = triangles_of(outlines) - origin
        if len(vertices):
            shapes[f"surfaces/{name}"] = _mesh(vertices, order * _SURFACE_STEP_M, colours[name])
    shapes |= _lines(vector_map, origin)
    return shapes


def triangles_of(outlines: Iterable[np.ndarray]) -> np.ndarray:
    """Corners [K, 3, 2] of triangles that together cover every polygon [P, 2]; a broken outline is mended first."""
    polygons = shapely.make_valid([shapely.Polygon(outline) for outline in outlines if len(outline) > 2])
    parts = shapely.get_parts(shapely.constrained_delaunay_triangles(polygons))
    return shapely.get_coordinates(parts).reshape(-1, 4, 2)[:, :3]


def light_shapes(lights: Iterable[TrafficLight], lanes: Mapping[str, Lane], origin: np.ndarray) -> tuple[Any, Any]:
    """The stop bars and the lamps above them, in the colours of the signals; both empty where no signal is known."""
    import rerun as rr

    known = [(light, lanes[light.lane_id]) for light in lights if light.lane_id in lanes]
    bars = [_lifted(stop_bar(lane, lanes) - origin, LINE_HEIGHT_M) for _, lane in known]
    colours = [rgb(palette.LIGHTS[light.state][0]) for light, _ in known]
    labels = [f"{light.state.value}, lane {light.lane_id}" for light, _ in known]
    lamps = [bar.mean(axis=0) + [0, 0, _SIGNAL_HEIGHT_M] for bar in bars]
    return (
        rr.LineStrips3D(bars, colors=colours, radii=_STOP_BAR_RADIUS_M),
        rr.Points3D(np.array(lamps).reshape(-1, 3), colors=colours, radii=0.3, labels=labels, show_labels=False),
    )


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green, blue of ``#rrggbb``, 0..255."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _mesh(corners: np.ndarray, height_m: float, colour: str) -> Any:
    import rerun as rr

    return rr.Mesh3D(vertex_positions=_lifted(corners.reshape(-1, 2), height_m), albedo_factor=rgb(colour))


def _lines(vector_map: VectorMap, origin: np.ndarray) -> dict[str, Any]:
    import rerun as rr

    shapes: dict[str, Any] = {}
    for kind, (colour, _, _) in palette.LINES.items():
        strips = [_lifted(line.points - origin, LINE_HEIGHT_M) for line in vector_map.lines if line.kind is kind]
        if strips:
            shapes[f"lines/{kind.value}"] = rr.LineStrips3D(strips, colors=rgb(colour), radii=_PAINT_RADIUS_M)
    centres = [_lifted(lane.centerline - origin, LINE_HEIGHT_M) for lane in vector_map.lanes]
    if centres:
        shapes["lines/centerlines"] = rr.LineStrips3D(centres, colors=rgb(palette.CENTERLINE), radii=_CENTERLINE_RADIUS_M)
    zones = [area.outline[[*range(len(area.outline)), 0]] - origin for area in vector_map.areas_of(AreaKind.STOP_ZONE)]
    if zones:
        outlines = [_lifted(zone, LINE_HEIGHT_M) for zone in zones]
        shapes["lines/stop_zones"] = rr.LineStrips3D(outlines, colors=rgb(palette.STOP_ZONE), radii=_CENTERLINE_RADIUS_M)
    return shapes


def _lifted(points: np.ndarray, height_m: float) -> np.ndarray:
    """[K, 3] the points [K, 2] at that height."""
    return np.column_stack([points, np.full(len(points), height_m)])
