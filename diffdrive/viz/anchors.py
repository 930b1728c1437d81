"""Anchor trajectories, from above, forward up."""

from __future__ import annotations

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from diffdrive.contracts import Axes, InputError
from diffdrive.viz import palette
from diffdrive.viz.figure import chart_axes, halo, new_figure


def draw_anchors(
    points: np.ndarray,
    *,
    trajectories: np.ndarray | None = None,
    horizon_s: float = 4.0,
    title: str = "",
    size_in: float = 4.6,
) -> Figure:
    """Anchors ``points`` [M, T, 2] or [M, T, 3] (ego frame, metres), numbered, coloured by mean speed over ``horizon_s``.

    ``trajectories`` [N, T, 2] or [N, T, 3], if given, are those that the anchors were clustered from, drawn in grey beneath.
    """
    points = _positions("points", points)
    cloud = np.zeros((0, 1, 2)) if trajectories is None else _positions("trajectories", trajectories)
    figure = new_figure(size_in, size_in)
    axes = figure.add_axes((0.1, 0.09, 0.74, 0.85), label="anchors")
    chart_axes(axes, "y to the left, m", "x ahead, m")
    density = float(np.clip(80.0 / max(len(cloud), 1), 0.05, 0.6))
    axes.add_collection(LineCollection(_lines(cloud), colors=palette.FAINT_INK, linewidths=0.3, alpha=density, rasterized=True))
    paths = _lines(points)
    speeds = np.array([np.hypot(*np.diff(path, axis=0).T).sum() for path in paths]) / horizon_s
    colours = ScalarMappable(Normalize(0.0, max(float(speeds.max()), 1e-6)), "cividis_r")
    lines = LineCollection(paths, colors=colours.to_rgba(speeds), linewidths=1.4, capstyle="round", zorder=3, gid="anchors")
    axes.add_collection(lines)
    dots = np.concatenate([path[1:] for path in paths])
    axes.scatter(
        dots[:, 0], dots[:, 1], s=4, c=np.repeat(colours.to_rgba(speeds), points.shape[1], axis=0), linewidths=0, zorder=4
    )
    for index, path in enumerate(paths):
        halo(axes.text(path[-1, 0], path[-1, 1], f" {index}", fontsize=palette.SMALL_TEXT_PT, va="center", zorder=5))
    axes.autoscale_view()
    # Lateral detail would vanish at equal scales: anchors reach ten times farther ahead than aside.
    axes.set_aspect("equal" if np.ptp(points[..., 1]) > 0.5 * np.ptp(points[..., 0]) else "auto")
    axes.set_xticks(axes.get_xticks())
    axes.set_xticklabels([f"{0.0 - tick:g}" for tick in axes.get_xticks()])
    axes.set_title(title or f"{len(points)} anchors", fontsize=palette.TITLE_PT, loc="left", color=palette.INK)
    bar = figure.colorbar(colours, cax=figure.add_axes((0.87, 0.09, 0.025, 0.85), label="speed"))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=palette.SMALL_TEXT_PT, length=0)
    bar.set_label("mean speed, m/s", fontsize=palette.TEXT_PT)
    return figure


def _positions(name: str, points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 3 or points.shape[2] not in (2, 3) or not len(points):
        raise InputError(f"draw_anchors: {name} must have axes [M T 2] or [M T 3], M >= 1, got shape {list(points.shape)}.")
    Axes("draw_anchors").check(name, points, f"M T {points.shape[2]}", finite=True)
    return points[..., :2]


def _lines(points: np.ndarray) -> list[np.ndarray]:
    """Picture coordinates [T + 1, 2] of each path, from the ego on, left to the left."""
    origin = np.zeros((len(points), 1, 2))
    paths = np.concatenate([origin, points], axis=1)
    return list(np.stack([-paths[..., 1], paths[..., 0]], axis=-1))
