"""Scenes by tag: how many there are of each kind, and how several drivers fare in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes as PlotAxes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffdrive.viz import palette
from diffdrive.viz.figure import chart_axes, legend, new_figure

# Colour and mark of each driver in turn: what must not be confused differs in shape, too.
_LOOKS = ((palette.HUMAN, "D"), ("#0072b2", "o"), ("#8fcbef", "s"), (palette.CHOSEN, "v"), (palette.INK, "^"))
_BAR = "#c4c9d0"
_ROW_IN = 0.175
_GAP_ROWS = 1.5
_WIDTH_IN = 7.2
_EDGES_IN = (0.5, 0.42)
"""Above and below the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRow:
    """One tag."""

    name: str
    count: int
    means: Mapping[str, float]
    """Mean score by driver, 0..1; empty where there is no scene."""


def draw_tags(everything: TagRow, groups: Sequence[Sequence[TagRow]], *, title: str, score: str) -> Figure:
    """One row a tag: on the left the number of scenes, on the right every driver's mean ``score`` in percent.

    ``everything`` is the first row, of all scenes; its drivers, five at most, are those of the picture.
    """
    rows = list(_placed(everything, groups))
    bottom = rows[-1][0] + 0.7
    height = _ROW_IN * (bottom + 0.7) + sum(_EDGES_IN)
    figure = new_figure(_WIDTH_IN, height)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.25))
    chart_axes(left, "scenes", "")
    chart_axes(right, f"mean {score}, percent", "")
    looks = dict(zip(everything.means, _LOOKS, strict=False))
    _draw_counts(left, rows)
    _draw_means(right, rows, looks)
    left.set_ylim(bottom, -0.7)
    left.set_yticks([place for place, _ in rows], [row.name for _, row in rows])
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
    right.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", markersize=4, label=name)
        for name, (colour, mark) in looks.items()
    ]
    legend(figure, handles, loc="upper right", bbox_to_anchor=(0.985, 1 - 0.3 / height), ncols=len(handles), handletextpad=0.1)
    figure.text(0.015, 1 - 0.06 / height, title, fontsize=palette.TITLE_PT, va="top", color=palette.INK)
    figure.subplots_adjust(left=0.19, right=0.985, top=1 - _EDGES_IN[0] / height, bottom=_EDGES_IN[1] / height, wspace=0.05)
    return figure


def _placed(everything: TagRow, groups: Sequence[Sequence[TagRow]]) -> Iterator[tuple[float, TagRow]]:
    """Every row and where it lies; a gap before each group."""
    place = 0.0
    yield place, everything
    for group in groups:
        place += _GAP_ROWS - 1.0
        for row in group:
            place += 1.0
            yield place, row


def _draw_counts(axes: PlotAxes, rows: Sequence[tuple[float, TagRow]]) -> None:
    longest = max(row.count for _, row in rows[1:])
    for place, row in rows:
        # All scenes would be a bar that makes the others short.
        length = row.count if place else 0
        axes.barh(place, length, height=0.72, color=_BAR)
        axes.text(
            length + 0.015 * longest,
            place,
            str(row.count),
            va="center",
            fontsize=palette.SMALL_TEXT_PT,
            color=palette.INK,
        )
    axes.set_xlim(0, 1.12 * longest)


def _draw_means(axes: PlotAxes, rows: Sequence[tuple[float, TagRow]], looks: Mapping[str, tuple[str, str]]) -> None:
    for place, row in rows:
        axes.plot([0, 100], [place, place], color="#eef0f2", linewidth=0.5, zorder=1)
        # The first lies on top: simple drivers often score alike.
        for name, mean in reversed(list(row.means.items())):
            colour, mark = looks[name]
            axes.plot(100 * mean, place, color=colour, marker=mark, markersize=4, alpha=0.9, clip_on=False, zorder=3)
    axes.set_xlim(0, 101)
