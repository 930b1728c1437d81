"""Paint a vector map: areas, lanes, painted lines, zebra crossings, stop zones, signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Polygon

from diffdrive.scene import Area, AreaKind, Lane, LightState, TrafficLight, VectorMap
from diffdrive.viz import palette

Placement = Callable[[np.ndarray], np.ndarray]
"""Map coordinates [..., 2] to picture coordinates [..., 2]."""


def forward_up(points: np.ndarray) -> np.ndarray:
    """Ego frame to picture: x (forward) points up, y (left) points left."""
    points = np.asarray(points, dtype=np.float64)
    return np.stack([-points[..., 1], points[..., 0]], axis=-1)


def north_up(points: np.ndarray) -> np.ndarray:
    """World frame to picture: x right, y up."""
    return np.asarray(points, dtype=np.float64)[..., :2]


def paint_map(axes: PlotAxes, vector_map: VectorMap, place: Placement, *, fine: bool = True) -> None:
    """Paint everything in the map; ``fine`` adds what only reads close up (centrelines, paint, zebra stripes)."""
    for order, (kind, colour) in enumerate(palette.AREAS.items()):
        if kind is not AreaKind.CROSSWALK:
            _fill(axes, [area.outline for area in vector_map.areas_of(kind)], place, colour, 1 + 0.01 * order)
    _fill(axes, [lane.polygon for lane in vector_map.lanes], place, palette.ROAD, 1.2)
    _fill(
        axes, [area.outline for area in vector_map.areas_of(AreaKind.CROSSWALK)], place, palette.AREAS[AreaKind.CROSSWALK], 1.3
    )
    if not fine:
        return
    for area in vector_map.areas_of(AreaKind.CROSSWALK):
        _paint_zebra(axes, area, place)
    _paint_lanes(axes, vector_map.lanes, has_paint=bool(vector_map.lines), place=place)
    for line_kind, (colour, width, dash) in palette.LINES.items():
        points = [place(line.points) for line in vector_map.lines if line.kind is line_kind]
        axes.add_collection(LineCollection(points, colors=colour, linewidths=width, linestyles=[dash], zorder=1.6))
    zones = [place(area.outline) for area in vector_map.areas_of(AreaKind.STOP_ZONE)]
    outline: palette.Look = {
        "facecolors": "none",
        "edgecolors": palette.STOP_ZONE,
        "linewidths": 0.5,
        "linestyles": [(0, (2, 1.5))],
    }
    axes.add_collection(PolyCollection(zones, **outline, zorder=1.7))


def paint_lights(axes: PlotAxes, lights: Iterable[TrafficLight], vector_map: VectorMap, place: Placement) -> set[LightState]:
    """A stop bar and a marker where each signalled connector begins. Returns the states that lie inside the axes' limits."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    drawn: set[LightState] = set()
    lanes = {lane.lane_id: lane for lane in vector_map.lanes}
    # Where one lane leads into connectors with different signals, red is painted last.
    for light in sorted(lights, key=lambda light: light.state is LightState.RED):
        lane = lanes.get(light.lane_id)
        if lane is None:
            continue
        colour, marker = palette.LIGHTS[light.state]
        bar = place(stop_bar(lane, lanes))
        # At the kerb: in the middle of the lane the trajectories would hide it.
        kerb = bar[1]
        edge: palette.Look = {} if marker == "x" else {"markeredgecolor": palette.PAPER, "markeredgewidth": 0.6}
        axes.plot(*bar.T, color=colour, linewidth=2.0, solid_capstyle="butt", zorder=5)
        axes.plot(*kerb, marker=marker, color=colour, markersize=5.0, linestyle="none", zorder=5.1, **edge)
        if left <= kerb[0] <= right and low <= kerb[1] <= high:
            drawn.add(light.state)
    return drawn


def stop_bar(connector: Lane, lanes: Mapping[str, Lane]) -> np.ndarray:
    """[2, 2] left and right end of the line at which a car waits to enter ``connector``: the end of the lane before it."""
    before = next((lanes[lane_id] for lane_id in connector.predecessor_ids if lane_id in lanes), None)
    if before is None:
        return np.stack([connector.left_boundary[0], connector.right_boundary[0]])
    return np.stack([before.left_boundary[-1], before.right_boundary[-1]])


def _fill(axes: PlotAxes, outlines: list[np.ndarray], place: Placement, colour: str, zorder: float) -> None:
    # A hairline in the fill's own colour closes the gaps that anti-aliasing leaves between neighbours.
    style: palette.Look = {"facecolors": colour, "edgecolors": colour, "linewidths": 0.4, "zorder": zorder}
    axes.add_collection(PolyCollection([place(outline) for outline in outlines], **style))


def _paint_lanes(axes: PlotAxes, lanes: tuple[Lane, ...], *, has_paint: bool, place: Placement) -> None:
    inside = [place(lane.centerline) for lane in lanes if lane.intersection_id is not None]
    between = [place(lane.centerline) for lane in lanes if lane.intersection_id is None]
    axes.add_collection(LineCollection(inside, colors=palette.CENTERLINE, linewidths=0.35, alpha=0.7, zorder=1.4))
    axes.add_collection(
        LineCollection(between, colors=palette.CENTERLINE, linewidths=0.5, linestyles=[(0, (3, 3))], zorder=1.4)
    )
    if not has_paint:
        edges = [
            place(edge) for lane in lanes if lane.intersection_id is None for edge in (lane.left_boundary, lane.right_boundary)
        ]
        axes.add_collection(LineCollection(edges, colors=palette.LANE_EDGE, linewidths=0.8, zorder=1.5))


def _paint_zebra(axes: PlotAxes, area: Area, place: Placement, stripe_m: float = 0.6) -> None:
    """Bars across the crossing's long axis, clipped to its outline."""
    centre = area.outline.mean(axis=0)
    direction = _long_axis(area.outline)
    across = np.array([-direction[1], direction[0]])
    along = (area.outline - centre) @ direction
    side = np.abs((area.outline - centre) @ across).max()
    bars = []
    for start in np.arange(along.min() + stripe_m / 2, along.max(), 2 * stripe_m):
        ends = [(start, -side), (start + stripe_m, -side), (start + stripe_m, side), (start, side)]
        bars.append(place(np.array([centre + a * direction + b * across for a, b in ends])))
    stripes = PolyCollection(bars, facecolors=palette.ZEBRA, edgecolors="none", zorder=1.35)
    axes.add_collection(stripes)
    stripes.set_clip_path(Polygon(place(area.outline), transform=axes.transData))


def _long_axis(outline: np.ndarray) -> np.ndarray:
    """[2] the direction of the longest side: which way people walk over a crossing."""
    sides = np.diff(np.concatenate([outline, outline[:1]]), axis=0)
    longest = sides[np.argmax(np.hypot(sides[:, 0], sides[:, 1]))]
    return longest / max(float(np.hypot(*longest)), 1e-9)
