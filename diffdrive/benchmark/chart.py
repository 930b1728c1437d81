"""What a split is made of, as a picture: scenes of each tag, and how the drivers fare there. Needs the extra ``viz``."""

from __future__ import annotations

from matplotlib.axes import Axes as PlotAxes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from diffdrive.benchmark.drivers import DRIVERS
from diffdrive.benchmark.manifest import Benchmark, BenchmarkScene
from diffdrive.benchmark.statistics import TAGS, scenes_with, scores_of
from diffdrive.viz import palette
from diffdrive.viz.figure import chart_axes, legend, new_figure

# Colour and mark of each driver: what must not be confused differs in shape, too.
_LOOKS = {
    "human": (palette.HUMAN, "D"),
    "constant_velocity": ("#0072b2", "o"),
    "constant_turn_rate": ("#8fcbef", "s"),
    "blind": (palette.CHOSEN, "v"),
    "pdm_closed": (palette.INK, "^"),
}
_BAR = "#c4c9d0"
_ROW_IN = 0.175
_GAP_ROWS = 1.5
_WIDTH_IN = 7.2
_EDGES_IN = (0.5, 0.42)
"""Above and below the rows."""


def draw_benchmark(benchmark: Benchmark) -> Figure:
    """One row a tag: on the left the number of scenes that have it, on the right the mean PDMS of every driver in them."""
    rows = _rows(benchmark)
    bottom = rows[-1][0] + 0.7
    height = _ROW_IN * (bottom + 0.7) + sum(_EDGES_IN)
    figure = new_figure(_WIDTH_IN, height)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.25))
    chart_axes(left, "scenes", "")
    chart_axes(right, "mean PDMS, percent", "")
    _draw_counts(left, rows)
    _draw_scores(right, rows)
    left.set_ylim(bottom, -0.7)
    left.set_yticks([place for place, _, _ in rows], [word.replace("_", " ") for _, word, _ in rows])
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
    right.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", markersize=4, label=_label(name))
        for name, (colour, mark) in _LOOKS.items()
    ]
    legend(figure, handles, loc="upper right", bbox_to_anchor=(0.985, 1 - 0.3 / height), ncols=len(handles), handletextpad=0.1)
    title = f"DriveTown {benchmark.split}: {len(benchmark.scenes)} scenes of {len(benchmark.towns)} towns"
    figure.text(0.015, 1 - 0.06 / height, title, fontsize=palette.TITLE_PT, va="top", color=palette.INK)
    figure.subplots_adjust(left=0.19, right=0.985, top=1 - _EDGES_IN[0] / height, bottom=_EDGES_IN[1] / height, wspace=0.05)
    return figure


def _label(driver: str) -> str:
    return "PDM-Closed" if driver == "pdm_closed" else driver.replace("_", " ")


def _rows(benchmark: Benchmark) -> list[tuple[float, str, list[BenchmarkScene]]]:
    """Place, word and scenes of every row; tags that no scene has are shown too, with nothing in them."""
    rows: list[tuple[float, str, list[BenchmarkScene]]] = [(0.0, "all scenes", list(benchmark.scenes))]
    place = 0.0
    for kind, words in TAGS.items():
        place += _GAP_ROWS
        for word in words:
            rows.append((place, word, scenes_with(benchmark.scenes, kind, word)))
            place += 1.0
        place -= 1.0
    return rows


def _draw_counts(axes: PlotAxes, rows: list[tuple[float, str, list[BenchmarkScene]]]) -> None:
    tags = rows[1:]
    longest = max(len(scenes) for _, _, scenes in tags)
    for place, _, scenes in tags:
        axes.barh(place, len(scenes), height=0.72, color=_BAR)
    for place, _, scenes in rows:
        length = len(scenes) if place else 0
        axes.text(
            length + 0.015 * longest, place, str(len(scenes)), va="center", fontsize=palette.SMALL_TEXT_PT, color=palette.INK
        )
    axes.set_xlim(0, 1.12 * longest)


def _draw_scores(axes: PlotAxes, rows: list[tuple[float, str, list[BenchmarkScene]]]) -> None:
    for place, _, scenes in rows:
        axes.plot([0, 100], [place, place], color="#eef0f2", linewidth=0.5, zorder=1)
        if not scenes:
            continue
        # The last lies on top: constant turn rate often is where constant velocity is.
        for driver in reversed(DRIVERS):
            colour, mark = _LOOKS[driver]
            mean = 100 * scores_of(scenes, driver).mean()
            axes.plot(mean, place, color=colour, marker=mark, markersize=4, alpha=0.9, clip_on=False, zorder=3)
    axes.set_xlim(0, 101)
