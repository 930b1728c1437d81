"""The envelope's cycle as a picture: what is asked, and what is driven in each case."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from diffdrive.runtime.envelope import DecisionStatus, EnvelopeConfig
from diffdrive.viz.palette import FAINT_INK, GROUND, INK, PAPER

COLOURS = {
    DecisionStatus.PLANNED: "#cfe9dd",
    DecisionStatus.REPAIRED: "#e3edc8",
    DecisionStatus.CARRIED_ON: "#faf0bf",
    DecisionStatus.STOPPING: "#f9dcc0",
    DecisionStatus.EMERGENCY_STOP: "#f3c9c9",
}
WIDTH, HEIGHT = 3.7, 1.0
COLUMNS = (0.0, 4.7, 9.4)
ROWS = (0.0, -1.55, -3.1, -4.65)


def draw_ladder(config: EnvelopeConfig) -> Figure:
    """Questions in grey, what is driven in colour; the numbers are those of ``config``."""
    figure = Figure(figsize=(13.3, 6.0), facecolor=PAPER, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlim(-0.15, COLUMNS[2] + WIDTH + 0.15)
    axes.set_ylim(ROWS[3] - HEIGHT / 2 - 0.15, HEIGHT / 2 + 0.15)
    axes.axis("off")
    _questions(axes, config)
    _results(axes, config)
    _arrows(axes)
    return figure


def _questions(axes: Axes, config: EnvelopeConfig) -> None:
    motion_s, deadline_ms = config.inputs.motion.max_age_s, 1000 * config.deadline_s
    _box(axes, 0, 0, GROUND, "Is the motion known,", f"not older than {motion_s:g} s?")
    _box(axes, 0, 1, GROUND, "Are cameras and LiDAR usable, and", f"did the planner answer within {deadline_ms:.0f} ms?")
    _box(axes, 0, 2, GROUND, "Can the chosen proposal", "be driven as it is?")
    _box(axes, 1, 1, GROUND, f"Is the last plan at most {config.max_plan_age_s:g} s old,", "and the vehicle on its path?")


def _results(axes: Axes, config: EnvelopeConfig) -> None:
    told = {
        (2, 0): (DecisionStatus.EMERGENCY_STOP, f"brakes with {config.emergency.deceleration:g} m/s²"),
        (2, 1): (DecisionStatus.CARRIED_ON, "the last plan, at its later times"),
        (2, 2): (DecisionStatus.STOPPING, f"brakes with {config.comfortable.deceleration:g} m/s² on the last path"),
        (0, 3): (DecisionStatus.PLANNED, f"another than before only if better by {config.selection.margin:g}"),
        (1, 3): (DecisionStatus.REPAIRED, "the best, bent on the bicycle model"),
    }
    for (column, row), (status, what) in told.items():
        _box(axes, column, row, COLOURS[status], status.name, what, bold=True)


def _arrows(axes: Axes) -> None:
    middle, right = WIDTH / 2, HEIGHT / 2
    for row in (0, 1, 2):
        _arrow(axes, [(middle, ROWS[row] - right), (middle, ROWS[row + 1] + right)], "yes", (middle + 0.12, ROWS[row] - 0.78))
    _arrow(axes, [(WIDTH, ROWS[0]), (COLUMNS[2], ROWS[0])], "no", (WIDTH + 0.15, ROWS[0] + 0.14))
    _arrow(axes, [(WIDTH, ROWS[1]), (COLUMNS[1], ROWS[1])], "no", (WIDTH + 0.15, ROWS[1] + 0.14))
    _arrow(axes, [(COLUMNS[1] + WIDTH, ROWS[1]), (COLUMNS[2], ROWS[1])], "yes", (COLUMNS[1] + WIDTH + 0.15, ROWS[1] + 0.14))
    below = COLUMNS[1] + middle
    _arrow(axes, [(below, ROWS[1] - right), (below, ROWS[2]), (COLUMNS[2], ROWS[2])], "no", (below + 0.12, ROWS[1] - 0.78))
    aside = WIDTH + 0.5
    _arrow(
        axes,
        [(WIDTH, ROWS[2]), (aside, ROWS[2]), (aside, ROWS[3]), (COLUMNS[1], ROWS[3])],
        "no",
        (WIDTH + 0.15, ROWS[2] + 0.14),
    )


def _box(axes: Axes, column: int, row: int, colour: str, title: str, text: str, *, bold: bool = False) -> None:
    x, y = COLUMNS[column], ROWS[row]
    style = "round,pad=0,rounding_size=0.14"
    axes.add_patch(FancyBboxPatch((x, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle=style, facecolor=colour, edgecolor=FAINT_INK))
    centre = x + WIDTH / 2
    weight = "bold" if bold else "normal"
    axes.text(centre, y + 0.18, title, ha="center", va="center", color=INK, size=11, weight=weight)
    axes.text(centre, y - 0.2, text, ha="center", va="center", color=INK, size=10 if bold else 11)


def _arrow(axes: Axes, points: list[tuple[float, float]], text: str, place: tuple[float, float]) -> None:
    *way, end = points
    if len(way) > 1:
        axes.plot(*zip(*way, strict=True), color=FAINT_INK, lw=1.4)
    line = {"arrowstyle": "-|>", "color": FAINT_INK, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, way[-1], arrowprops=line)
    axes.text(*place, text, color=FAINT_INK, size=11)
