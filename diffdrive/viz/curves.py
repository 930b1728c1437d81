"""Training curves: one panel a quantity, training and validation together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffdrive.contracts import Axes, InputError
from diffdrive.viz import palette
from diffdrive.viz.figure import chart_axes, legend, new_figure

_STAGES: dict[str, tuple[str, Any]] = {"train": ("#0072b2", "-"), "val": (palette.CHOSEN, (0, (4, 1.2)))}
_COLUMNS = 3
_WINDOWS = 20
_PANEL_IN = (3.0, 1.9)


def draw_training_curves(curves: Mapping[str, np.ndarray], *, title: str = "") -> Figure:
    """Curves [K, 2] of (step, value) by name, ``train/<quantity>`` and ``val/<quantity>`` of one quantity in one panel.

    Curves of more than 50 points are drawn faintly, with a moving average over 1/20 of their length on top. Values that
    are not finite are left out. Raises ``InputError`` when there is nothing to draw.
    """
    panels = _panels(curves)
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(_PANEL_IN[0] * columns, _PANEL_IN[1] * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (quantity, stages) in zip(grid.flat, panels.items(), strict=False):
        chart_axes(axes, "step", "")
        axes.set_title(quantity, fontsize=palette.TEXT_PT, loc="left", pad=3, color=palette.INK)
        for stage, curve in stages.items():
            colour, dash = _STAGES.get(stage, (palette.INK, "-"))
            if len(curve) > 50:
                axes.plot(*curve.T, color=colour, linewidth=0.5, alpha=0.25)
                curve = np.stack([curve[:, 0], moving_average(curve[:, 1], len(curve) // _WINDOWS)], axis=1)
            marks: palette.Look = {"marker": "o", "markersize": 2.5} if len(curve) < 25 else {}
            axes.plot(*curve.T, color=colour, linestyle=dash, linewidth=1.2, gid=f"{stage}/{quantity}", **marks)
        axes.margins(x=0.02)
        axes.yaxis.get_offset_text().set_fontsize(palette.SMALL_TEXT_PT)
    used = [stage for stage in _STAGES if any(stage in stages for stages in panels.values())]
    names = {"train": "training", "val": "validation"}
    handles = [Line2D([], [], color=_STAGES[s][0], linestyle=_STAGES[s][1], linewidth=1.2, label=names[s]) for s in used]
    height = figure.get_size_inches()[1]
    legend(figure, handles, loc="upper right", ncols=len(handles), bbox_to_anchor=(0.99, 1 - 0.08 / height))
    if title:
        figure.text(0.01, 1 - 0.08 / height, title, fontsize=palette.TITLE_PT, va="top", color=palette.INK)
    space: palette.Look = {"left": 0.16 / columns, "right": 1 - 0.04 / columns, "bottom": 0.38 / height}
    figure.subplots_adjust(**space, top=1 - 0.5 / height, wspace=0.24, hspace=0.55)
    return figure


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """[K] mean over ``window`` values centred on each, fewer at the ends: unlike an exponential average, it does not lag."""
    before, after = window // 2, window - window // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - before, 0), np.minimum(index + after, len(values))
    return (total[high] - total[low]) / (high - low)


def _panels(curves: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    panels: dict[str, dict[str, np.ndarray]] = {}
    for name, curve in curves.items():
        curve = np.asarray(curve, dtype=np.float64)
        Axes("draw_training_curves").check(name, curve, "K 2")
        curve = curve[np.isfinite(curve).all(axis=1)]
        stage, separator, quantity = name.partition("/")
        if len(curve):
            panels.setdefault(quantity if separator else name, {})[stage if separator else ""] = curve
    if not panels:
        raise InputError("draw_training_curves has no finite value to draw. Train at least one step first.")
    return panels
