"""A whole town from above, with what drove through it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffdrive.contracts import Axes, InputError
from diffdrive.scene import VectorMap
from diffdrive.viz import palette
from diffdrive.viz.figure import legend, new_figure, plain_axes, scale_bar
from diffdrive.viz.map_layer import north_up, paint_map

_TRACK_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


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
    figure = new_figure(size_in, size_in * (high[1] - low[1]) / (high[0] - low[0]))
    axes = figure.add_axes((0, 0, 1, 1), label="town")
    plain_axes(axes)
    figure.set_facecolor(palette.GROUND)
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    paint_map(axes, vector_map, north_up, fine=False)
    paths = [_track(name, points) for name, points in others.items()]
    axes.add_collection(LineCollection(paths, colors=palette.FAINT_INK, linewidths=0.35, alpha=0.5, zorder=4))
    handles = []
    for index, (name, points) in enumerate(tracks.items()):
        path, colour = _track(name, points), _TRACK_COLOURS[index % len(_TRACK_COLOURS)]
        axes.plot(*path.T, color=colour, linewidth=1.5, solid_capstyle="round", zorder=5, gid=f"track {name}")
        axes.plot(*path[0], "o", color=colour, markersize=4.5, markerfacecolor=palette.PAPER, zorder=6)
        axes.plot(*path[-1], "o", color=colour, markersize=4.5, zorder=6)
        handles.append(Line2D([], [], color=colour, linewidth=1.5, label=name))
    width = high[0] - low[0]
    scale_bar(
        axes, float(10 ** np.floor(np.log10(width / 5)) * (5 if width / 5 / 10 ** np.floor(np.log10(width / 5)) >= 5 else 1))
    )
    if title:
        axes.text(0.5, 0.985, title, transform=axes.transAxes, ha="center", va="top", fontsize=palette.TITLE_PT)
    if handles:
        legend(axes, handles[: len(_TRACK_COLOURS)], loc="upper right", bbox_to_anchor=(0.985, 0.985))
    return figure


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
