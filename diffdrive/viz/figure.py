"""Figures without pyplot: make one, label it, write it aside and rename it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes as PlotAxes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.viz import palette

_FORMATS = ("png", "pdf", "svg", "jpg")
_JPEG = {"quality": 85, "optimize": True}


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of that many inches, drawn by Agg."""
    figure = Figure(figsize=(width_in, height_in), facecolor=palette.PAPER)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path | str, *, dpi: int = 180) -> Path:
    """Write ``figure`` as PNG, JPEG, PDF or SVG (by the name's ending); the file appears complete or not at all.

    Text stays text in PDF and SVG. Raises ``InputError`` for another ending or a folder that does not exist.
    """
    path = Path(path)
    ending = path.suffix.lower().lstrip(".")
    if ending not in _FORMATS:
        raise InputError(f"Picture '{path}' must end in {', '.join('.' + name for name in _FORMATS)}, got '{path.suffix}'.")
    if not path.parent.is_dir():
        raise InputError(f"Picture '{path}' needs its folder '{path.parent}', which does not exist. Create it first.")
    # A date in the file would make two pictures of the same thing differ.
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(ending)
    with (
        written_aside(path) as aside,
        matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "diffdrive"}),
    ):
        # Only what Pillow writes takes its options.
        options: palette.Look = {"pil_kwargs": _JPEG} if ending == "jpg" else {"metadata": metadata}
        figure.savefig(aside, format=ending, dpi=dpi, **options)
    return path


def plain_axes(axes: PlotAxes) -> None:
    """No frame, no ticks: for maps and images."""
    axes.set_axis_off()
    axes.set_xticks([])
    axes.set_yticks([])


def chart_axes(axes: PlotAxes, x_label: str, y_label: str) -> None:
    """A quiet chart: two spines, outward ticks, light grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_linewidth(0.6)
        axes.spines[side].set_color(palette.FAINT_INK)
    axes.tick_params(labelsize=palette.SMALL_TEXT_PT, width=0.6, length=2.5, color=palette.FAINT_INK, labelcolor=palette.INK)
    axes.grid(True, color="#e6e8eb", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(x_label, fontsize=palette.TEXT_PT, color=palette.INK, labelpad=2)
    axes.set_ylabel(y_label, fontsize=palette.TEXT_PT, color=palette.INK, labelpad=2)


def scale_bar(axes: PlotAxes, length_m: float) -> None:
    """A bar of ``length_m`` data units in the lower left corner of axes whose limits are set."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x, y = left + 0.03 * (right - left), low + 0.03 * (high - low)
    tick = 0.006 * (high - low)
    for colour, width in ((palette.PAPER, 3.6), (palette.INK, 1.2)):
        axes.plot([x, x + length_m], [y, y], color=colour, linewidth=width, solid_capstyle="butt", zorder=30)
        for end in (x, x + length_m):
            axes.plot([end, end], [y - tick, y + tick], color=colour, linewidth=width, zorder=30)
    label = axes.text(
        x + length_m / 2, y + 2 * tick, f"{length_m:g} m", ha="center", va="bottom", fontsize=palette.TEXT_PT, zorder=31
    )
    halo(label)


def halo(artist: matplotlib.artist.Artist, width: float = 1.8) -> None:
    """A paper-coloured outline that keeps text and thin lines readable on any ground."""
    from matplotlib import patheffects

    artist.set_path_effects([patheffects.withStroke(linewidth=width, foreground=palette.PAPER)])


def legend(figure_or_axes: Figure | PlotAxes, handles: list[Any], **places: object) -> None:
    """A frameless legend in the house's text size."""
    options: palette.Look = {"frameon": False, "fontsize": palette.TEXT_PT, "labelcolor": palette.INK, "handlelength": 1.8}
    options |= {"borderaxespad": 0.0, "borderpad": 0.0, "labelspacing": 0.45, "columnspacing": 1.4}
    figure_or_axes.legend(handles=handles, **(options | places))
