"""A scored scene: what the planner wanted, what the simulated vehicle did, and where each sub-score was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.geometry import box_corners
from diffdrive.scene import Scene, Trajectory
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.viz import palette
from diffdrive.viz.bev import BevView, paint_bev
from diffdrive.viz.compose import legend_handles
from diffdrive.viz.figure import halo, legend, new_figure
from diffdrive.viz.map_layer import forward_up
from diffdrive.viz.overlay import PlanOverlay

_WIDTH_IN, _HEIGHT_IN, _SIDE_IN, _TITLE_IN = 9.6, 6.0, 3.3, 0.28
_GHOST_STEPS = 10
_FAULT = "#c1121f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where and when a sub-score was lost, in the ego frame at t = 0."""

    number: int
    """Shown in the picture and in the list beside it."""

    time_s: float
    pose: np.ndarray
    """[3] the ego's rear axle then."""

    agent: np.ndarray | None = None
    """[4, 2] the other road user's box then, in order around it."""

    point: np.ndarray | None = None
    """[2] the part of the ego that decided."""

    def __post_init__(self) -> None:
        axes = Axes("Fault")
        for name, contract in (("pose", "3"), ("agent", "4 2"), ("point", "2")):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
                axes.check(name, getattr(self, name), contract, finite=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine:
    """One line of the list beside the picture."""

    name: str
    value: float
    """0..1; NaN for a sub-score that the scene does not have."""

    note: str = ""
    """Why it was lost, in a few words."""

    fault: int | None = None
    """The number of the fault that is painted for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredOverlay:
    """What is drawn over a scene."""

    trajectory: Trajectory
    """What the planner wanted."""

    driven: np.ndarray
    """[41, 3] rear-axle poses of the simulated vehicle every 0.1 s, in the ego frame at t = 0."""

    lines: tuple[ScoreLine, ...]
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "driven", frozen_array(self.driven, np.float64))
        Axes("ScoredOverlay").check("driven", self.driven, "K 3", finite=True)
        numbers = {fault.number for fault in self.faults}
        if unknown := [line.name for line in self.lines if line.fault is not None and line.fault not in numbers]:
            raise InputError(f"ScoredOverlay.lines name faults that are not there: {', '.join(unknown)}.")


def draw_scored_scene(
    scene: Scene, overlay: ScoredOverlay, *, title: str, subtitle: str = "", vehicle: VehicleDimensions = PACIFICA
) -> Figure:
    """The scene from above with map, road users, plan, what was driven and where it went wrong; the sub-scores beside it."""
    figure = new_figure(_WIDTH_IN, _HEIGHT_IN)
    human = _as_far(scene.future.ego, overlay.trajectory.horizon_s) if scene.future else None
    plan = PlanOverlay(chosen=overlay.trajectory, human=human)
    wide = (_WIDTH_IN - _SIDE_IN) / (_HEIGHT_IN - _TITLE_IN)
    reach = Trajectory(overlay.driven[1:], 0.1)
    view = BevView.around(PlanOverlay(chosen=overlay.trajectory, human=human, baselines={"driven": reach}), aspect=wide)
    axes = figure.add_axes((0, 0, 1 - _SIDE_IN / _WIDTH_IN, 1 - _TITLE_IN / _HEIGHT_IN), label="bev")
    painted = paint_bev(axes, scene, plan, view, vehicle=vehicle, lidar=False)
    _paint_driven(axes, overlay.driven, vehicle)
    for fault in overlay.faults:
        _paint_fault(axes, fault, vehicle)
    _paint_numbers(axes, overlay.faults, vehicle, view)
    y = 1 - _TITLE_IN / 2 / _HEIGHT_IN
    figure.text(0.006, y, title, fontsize=palette.TITLE_PT, va="center", color=palette.INK)
    figure.text(0.994, y, subtitle, fontsize=palette.TEXT_PT, va="center", ha="right", color=palette.FAINT_INK)
    left = 1 - (_SIDE_IN - 0.16) / _WIDTH_IN
    bottom = _write_lines(figure, overlay.lines, left)
    handles: list[Any] = [
        Line2D([], [], color=palette.INK, linewidth=1.0, linestyle=(0, (1, 1)), label="simulated vehicle, its box every second")
    ]
    if overlay.faults:
        handles.append(
            Patch(facecolor=to_rgba(_FAULT, 0.25), edgecolor=_FAULT, label="ego and road user where points were lost")
        )
    renamed = [*legend_handles(plan, painted), *handles]
    for handle in renamed:
        if handle.get_label() in ("chosen", "driven"):
            handle.set_label({"chosen": "plan", "driven": "human"}[handle.get_label()])
    legend(figure, renamed, loc="upper left", bbox_to_anchor=(left, bottom - 0.03))
    return figure


def _as_far(driven: Trajectory, horizon_s: float) -> Trajectory:
    """The part of a recording that a plan covers."""
    count = max(1, int(horizon_s / driven.interval_s + 1e-6))
    return Trajectory(driven.poses[:count], driven.interval_s)


def _paint_driven(axes: PlotAxes, driven: np.ndarray, vehicle: VehicleDimensions) -> None:
    ghosts = forward_up(box_corners(vehicle.boxes(driven[_GHOST_STEPS::_GHOST_STEPS])))
    look: palette.Look = {"facecolors": "none", "edgecolors": palette.INK, "linewidths": 0.6, "linestyles": [(0, (2, 1.5))]}
    axes.add_collection(PolyCollection(list(ghosts), **look, zorder=7.3, gid="simulated boxes"))
    axes.plot(
        *forward_up(driven[:, :2]).T, color=palette.INK, linewidth=1.0, linestyle=(0, (1, 1)), zorder=7.4, gid="simulated"
    )


def _paint_fault(axes: PlotAxes, fault: Fault, vehicle: VehicleDimensions) -> None:
    shapes = [box_corners(vehicle.boxes(fault.pose))] + ([fault.agent] if fault.agent is not None else [])
    look: palette.Look = {"facecolors": to_rgba(_FAULT, 0.25), "edgecolors": _FAULT, "linewidths": 1.2}
    axes.add_collection(PolyCollection([forward_up(shape) for shape in shapes], **look, zorder=8.5, gid="fault"))
    if fault.agent is not None:
        link = forward_up(np.stack([vehicle.boxes(fault.pose)[:2], fault.agent.mean(axis=0)]))
        axes.plot(*link.T, color=_FAULT, linewidth=0.7, linestyle=(0, (4, 2)), zorder=8.6)
    if fault.point is not None:
        x, y = forward_up(fault.point)
        axes.plot([x], [y], "o", markersize=4.0, color=_FAULT, markeredgecolor=palette.PAPER, markeredgewidth=0.8, zorder=8.7)


def _paint_numbers(axes: PlotAxes, faults: tuple[Fault, ...], vehicle: VehicleDimensions, view: BevView) -> None:
    """Labels beside the ego box, those of one box in a row."""
    placed: list[np.ndarray] = []
    for fault in faults:
        side = np.array([-np.sin(fault.pose[2]), np.cos(fault.pose[2])])
        centre = vehicle.boxes(fault.pose)[:2]
        place = forward_up(centre + side * (vehicle.width / 2 + 0.035 * view.side_m * 2))
        while any(np.hypot(*(place - other)) < 0.05 * view.side_m * 2 for other in placed):
            place = place + np.array([-0.06 * view.side_m * 2, 0.0])
        placed.append(place)
        link = np.stack([place, forward_up(centre)])
        axes.plot(*link.T, color=_FAULT, linewidth=0.7, zorder=8.6)
        badge: palette.Look = {"boxstyle": "circle,pad=0.22", "facecolor": _FAULT, "edgecolor": palette.PAPER, "linewidth": 0.6}
        look: palette.Look = {"fontsize": palette.TEXT_PT, "color": palette.PAPER, "ha": "center", "va": "center"}
        axes.text(place[0], place[1], str(fault.number), **look, bbox=badge, zorder=9, clip_on=True)


def _write_lines(figure: Figure, lines: tuple[ScoreLine, ...], left: float) -> float:
    """The list of sub-scores from the top down. Returns where it ends, as a share of the page."""
    y, step = 1 - (_TITLE_IN + 0.2) / _HEIGHT_IN, 0.155 / _HEIGHT_IN
    right = left + (_SIDE_IN - 0.3) / _WIDTH_IN
    for line in lines:
        is_lost = line.value < 1
        colour = _FAULT if is_lost else palette.INK
        value = "none" if np.isnan(line.value) else f"{line.value:.2f}"
        name = f"{line.name}" + (f"  ({line.fault})" if line.fault is not None else "")
        weight = "bold" if line is lines[0] else "normal"
        figure.text(left, y, name, fontsize=palette.TEXT_PT, color=colour, va="center", weight=weight)
        number = figure.text(right, y, value, fontsize=palette.TEXT_PT, color=colour, va="center", ha="right", weight=weight)
        halo(number)
        y -= step
        if line.note:
            figure.text(left + 0.012, y, line.note, fontsize=palette.SMALL_TEXT_PT, color=palette.FAINT_INK, va="center")
            y -= step
        if line is lines[0]:
            y -= 0.35 * step
    return y
