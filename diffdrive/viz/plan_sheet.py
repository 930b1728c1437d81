"""Many scenes from above on one sheet, each with what a planner proposes: for watching a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from diffdrive.contracts import InputError
from diffdrive.scene import Scene, Trajectory
from diffdrive.viz import palette
from diffdrive.viz.bev import BevView, Painted, paint_bev
from diffdrive.viz.compose import legend_handles
from diffdrive.viz.figure import legend, new_figure
from diffdrive.viz.overlay import PlanOverlay

_COLUMNS = 4
_SIDE_IN = 2.7
_GAP_IN = 0.08
_CAPTION_IN = 0.2
_TITLE_IN = 0.28
_LEGEND_IN = 0.3


def draw_plan_sheet(scenes: Sequence[Scene], overlays: Sequence[PlanOverlay], *, title: str = "") -> Figure:
    """One square panel a scene, up to four in a row: proposals, the chosen one, and what was driven where the scene knows.

    The ground shown depends on what was driven, not on the plans: sheets of the same scenes can be laid side by side. Raises
    ``InputError`` unless there are as many overlays as scenes, and at least one.
    """
    if not scenes or len(scenes) != len(overlays):
        raise InputError(
            f"draw_plan_sheet needs one overlay for every scene, and a scene, got {len(overlays)} and {len(scenes)}."
        )
    columns = min(_COLUMNS, len(scenes))
    rows = -(-len(scenes) // columns)
    cell = _SIDE_IN + _CAPTION_IN
    width = columns * (_SIDE_IN + _GAP_IN) - _GAP_IN
    height = _TITLE_IN + rows * (cell + _GAP_IN) + _LEGEND_IN
    figure = new_figure(width, height)
    figure.text(0.06 / width, 1 - _TITLE_IN / 2 / height, title, fontsize=palette.TITLE_PT, va="center", color=palette.INK)
    shown = [_with_driven(scene, overlay) for scene, overlay in zip(scenes, overlays, strict=True)]
    painted: list[Painted] = []
    for index, (scene, overlay) in enumerate(zip(scenes, shown, strict=True)):
        row, column = divmod(index, columns)
        left, top = column * (_SIDE_IN + _GAP_IN), height - _TITLE_IN - row * (cell + _GAP_IN)
        caption = f"{scene.location}, {scene.observation.ego.speed:.1f} m/s, {scene.observation.command.name.lower()}"
        place = (left + 0.03) / width, (top - _CAPTION_IN / 2) / height
        figure.text(*place, caption, fontsize=palette.SMALL_TEXT_PT, va="center", color=palette.FAINT_INK)
        box = (left / width, (top - cell) / height, _SIDE_IN / width, _SIDE_IN / height)
        axes = figure.add_axes(box, label=f"scene {index}")
        view = BevView.around(PlanOverlay(human=overlay.human), aspect=1.0)
        painted.append(paint_bev(axes, scene, overlay, view, lidar=False))
    everything = Painted(
        agents=tuple(dict.fromkeys(name for each in painted for name in each.agents)),
        lights=frozenset().union(*(each.lights for each in painted)),
        has_lidar=False,
        has_route=any(each.has_route for each in painted),
    )
    handles = legend_handles(shown[0], everything)
    legend(figure, handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.06 / width, 0.08 / height))
    return figure


def _with_driven(scene: Scene, overlay: PlanOverlay) -> PlanOverlay:
    """What was driven, as far as the plan reaches."""
    if overlay.human is not None or scene.future is None:
        return overlay
    driven = scene.future.ego
    horizon_s = driven.horizon_s if overlay.chosen is None else overlay.chosen.horizon_s
    count = max(1, int(horizon_s / driven.interval_s + 1e-6))
    return replace(overlay, human=Trajectory(driven.poses[:count], driven.interval_s))
