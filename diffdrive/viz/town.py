"""A whole town from above, with what drove through it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from diffdrive.contracts import Axes, InputError
from diffdrive.scene import VectorMap
from diffdrive.viz import palette
from diffdrive.viz.figure import legend, new_figure, plain_axes, scale_bar
from diffdrive.viz.map_layer import north_up, paint_map

_TRACK_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_LEGEND_COLUMNS = 4


def draw_town(
    vector_map: VectorMap,
    tracks: Mapping[str, np.ndarray] | None = None,
    *,
    others: Mapping[str, np.ndarray] | None = None,
    title: str = "",
    size_in: float = 6.5,
) -> Figure:
    """The map (world frame, north up) with tracks of the ego and, in grey, of ``others``; each [K, 2] or [K, 3] metres.

    A track begins at its ring and ends at its dot. The first seven are named in a legend. Raises ``InputError`` for a map
    without lanes and areas.
    """
    tracks, others = dict(tracks or {}), dict(others or {})
    low, high = _extent(vector_map)
    width, depth = (high - low).tolist()
    named = min(len(tracks), len(_TRACK_COLOURS))
    band_in = 0.3 * bool(title) + 0.16 * -(-named // _LEGEND_COLUMNS) + 0.06
    height_in = size_in * depth / width
    figure = new_figure(size_in, height_in + band_in)
    axes = figure.add_axes((0, 0, 1, height_in / (height_in + band_in)), label="town")
    plain_axes(axes)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.add_patch(Rectangle((low[0], low[1]), width, depth, facecolor=palette.GROUND, edgecolor="none", zorder=0))
    paint_map(axes, vector_map, north_up, fine=False)
    paths = [_track(name, points) for name, points in others.items()]
    axes.add_collection(LineCollection(paths, colors=palette.FAINT_INK, linewidths=0.6, alpha=0.7, zorder=4))
    handles = [_paint_track(axes, index, name, points) for index, (name, points) in enumerate(tracks.items())]
    scale_bar(axes, _round_length(width / 5))
    top = 1 - 0.08 / (height_in + band_in)
    if title:
        figure.text(0.012, top, title, va="top", fontsize=palette.TITLE_PT, color=palette.INK)
    if handles:
        place = (0.012, top - 0.24 * bool(title) / (height_in + band_in))
        legend(figure, handles[:named], loc="upper left", bbox_to_anchor=place, ncols=_LEGEND_COLUMNS)
    return figure


def _paint_track(axes: PlotAxes, index: int, name: str, points: np.ndarray) -> Line2D:
    path, colour = _track(name, points), _TRACK_COLOURS[index % len(_TRACK_COLOURS)]
    axes.plot(*path.T, color=colour, linewidth=1.5, solid_capstyle="round", zorder=5, gid=f"track {name}")
    axes.plot(*path[0], "o", color=colour, markersize=4.5, markerfacecolor=palette.PAPER, zorder=6)
    axes.plot(*path[-1], "o", color=colour, markersize=4.5, zorder=6)
    return Line2D([], [], color=colour, linewidth=1.5, label=name)


def _round_length(length_m: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 ... that is not longer."""
    power = 10.0 ** np.floor(np.log10(length_m))
    return float(power * max(step for step in (1, 2, 5) if step * power <= length_m * (1 + 1e-9)))


def _extent(vector_map: VectorMap) -> tuple[np.ndarray, np.ndarray]:
    outlines = [lane.polygon for lane in vector_map.lanes] + [area.outline for area in vector_map.areas]
    if not outlines:
        raise InputError("draw_town needs a map with lanes or areas, got an empty one. Load the whole map of a location.")
    points = np.concatenate(outlines)
    margin = 0.04 * float(np.ptp(points, axis=0).max()) + 5.0
    return points.min(axis=0) - margin, points.max(axis=0) + margin


def _track(name: str, points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
        raise InputError(f"Track '{name}' must have axes [K 2] or [K 3] with K >= 1, got shape {list(points.shape)}.")
    Axes(f"Track '{name}'").check("points", points, f"K {points.shape[1]}", finite=True)
    return points[:, :2]
