"""Whole pictures of a scene: from above, in the cameras, and both on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId, LightState, Scene, Trajectory
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.viz import palette
from diffdrive.viz.bev import BevView, Painted, paint_bev, trajectory_style
from diffdrive.viz.camera import paint_camera
from diffdrive.viz.figure import chart_axes, legend, new_figure
from diffdrive.viz.overlay import PlanOverlay, path_from_ego

FRONT_CAMERAS = (CameraId.L0, CameraId.F0, CameraId.R0)
_WIDTH_IN = 9.6
_BEV_HEIGHT_IN = 5.2
_SIDE_IN = 2.5
_GAP_IN = 0.06
_TITLE_IN = 0.26


def draw_scene(
    scene: Scene,
    plan: PlanOverlay | Trajectory | None = None,
    *,
    cameras: Sequence[CameraId] | None = None,
    view: BevView | None = None,
    agent_boxes: bool = False,
    vehicle: VehicleDimensions = PACIFICA,
    title: str | None = None,
) -> Figure:
    """The front cameras (l0, f0, r0, side by side) above the view from above, with legend, scores and speeds at its side.

    Without ``cameras`` the three front cameras are shown where the scene has them all, and none otherwise; naming a camera
    that the scene lacks raises ``InputError``. A bare ``Trajectory`` is drawn as the chosen one; the scene's own future is
    added as the human's trajectory unless the overlay brings one.
    """
    overlay = _overlay(scene, plan)
    frames = camera_frames(scene, cameras)
    strip = _strip_height(frames)
    height = _TITLE_IN + strip + _BEV_HEIGHT_IN
    figure = new_figure(_WIDTH_IN, height)
    _write_title(figure, scene, title)
    _place_cameras(figure, frames, 1 - _TITLE_IN / height, overlay, scene if agent_boxes else None, vehicle)
    bev_height = _BEV_HEIGHT_IN - (_GAP_IN if frames else 0)
    bev = figure.add_axes((0, 0, 1 - _SIDE_IN / _WIDTH_IN, bev_height / height), label="bev")
    view = view or BevView.around(overlay, aspect=(_WIDTH_IN - _SIDE_IN) / bev_height)
    painted = paint_bev(bev, scene, overlay, view, vehicle=vehicle)
    _place_side_column(figure, overlay, painted, scene, height)
    return figure


def draw_bev(
    scene: Scene,
    plan: PlanOverlay | Trajectory | None = None,
    *,
    view: BevView | None = None,
    vehicle: VehicleDimensions = PACIFICA,
    size_in: float = 5.0,
) -> Figure:
    """The view from above alone, as wide as ``view`` asks (square by default), without legend."""
    overlay = _overlay(scene, plan)
    view = view or BevView.around(overlay, aspect=1.0)
    figure = new_figure(size_in * view.aspect, size_in)
    paint_bev(figure.add_axes((0, 0, 1, 1), label="bev"), scene, overlay, view, vehicle=vehicle)
    return figure


def draw_cameras(
    scene: Scene,
    plan: PlanOverlay | Trajectory | None = None,
    *,
    cameras: Sequence[CameraId] = FRONT_CAMERAS,
    agent_boxes: bool = False,
    vehicle: VehicleDimensions = PACIFICA,
) -> Figure:
    """The camera strip alone. Raises ``InputError`` when the scene lacks one of ``cameras``."""
    overlay = _overlay(scene, plan)
    frames = camera_frames(scene, cameras)
    figure = new_figure(_WIDTH_IN, _strip_height(frames))
    _place_cameras(figure, frames, 1.0, overlay, scene if agent_boxes else None, vehicle)
    return figure


def camera_frames(scene: Scene, cameras: Sequence[CameraId] | None) -> list[tuple[CameraId, CameraFrame]]:
    """The frames to show, left to right; see ``draw_scene`` for what None means."""
    there = scene.observation.cameras
    if cameras is None:
        cameras = FRONT_CAMERAS if all(camera in there for camera in FRONT_CAMERAS) else ()
    missing = [camera.value for camera in cameras if camera not in there]
    if missing:
        known = ", ".join(camera.value for camera in there) or "none"
        raise InputError(
            f"Scene '{scene.token}' has no image of camera {', '.join(missing)} (it has: {known}). "
            "Load it with sensors, name other cameras, or pass cameras=() for the view from above alone."
        )
    return [(camera, there[camera]) for camera in cameras]


def _overlay(scene: Scene, plan: PlanOverlay | Trajectory | None) -> PlanOverlay:
    overlay = PlanOverlay(chosen=plan) if isinstance(plan, Trajectory) or plan is None else plan
    if overlay.human is not None or scene.future is None:
        return overlay
    return replace(overlay, human=scene.future.ego)


def _aspects(frames: list[tuple[CameraId, CameraFrame]]) -> list[float]:
    return [frame.image.shape[1] / frame.image.shape[0] for _, frame in frames]


def _strip_height(frames: list[tuple[CameraId, CameraFrame]]) -> float:
    """Inches: all images get one height, and together the page's width."""
    if not frames:
        return 0.0
    return (_WIDTH_IN - _GAP_IN * (len(frames) - 1)) / sum(_aspects(frames))


def _place_cameras(
    figure: Figure,
    frames: list[tuple[CameraId, CameraFrame]],
    top: float,
    overlay: PlanOverlay,
    boxes_of: Scene | None,
    vehicle: VehicleDimensions,
) -> None:
    height_in, left = _strip_height(frames), 0.0
    page = figure.get_size_inches()
    for (camera, frame), aspect in zip(frames, _aspects(frames), strict=True):
        size = (aspect * height_in / page[0], height_in / page[1])
        axes = figure.add_axes((left / page[0], top - size[1], *size), label=camera.value)
        paint_camera(axes, frame, overlay, agents=boxes_of.agents if boxes_of else None, vehicle=vehicle)
        tag: palette.Look = {"boxstyle": "round,pad=0.25", "facecolor": palette.INK, "edgecolor": "none", "alpha": 0.6}
        corner: palette.Look = {"ha": "left", "va": "top", "transform": axes.transAxes, "fontsize": palette.TEXT_PT}
        axes.text(0.015, 0.965, camera.value, **corner, color=palette.PAPER, bbox=tag, zorder=20)
        left += aspect * height_in + _GAP_IN


def _write_title(figure: Figure, scene: Scene, title: str | None) -> None:
    ego, command = scene.observation.ego, scene.observation.command.name.lower()
    page = figure.get_size_inches()
    y = 1 - _TITLE_IN / 2 / page[1]
    figure.text(0.004, y, title or scene.token, fontsize=palette.TITLE_PT, va="center", color=palette.INK)
    facts = f"{scene.location}   ·   {ego.speed:.1f} m/s   ·   command: {command}"
    figure.text(0.996, y, facts, fontsize=palette.TEXT_PT, va="center", ha="right", color=palette.FAINT_INK)


def _place_side_column(figure: Figure, overlay: PlanOverlay, painted: Painted, scene: Scene, height: float) -> None:
    """Legend, score bar and speed profile to the right of the view from above; ``height`` of the page in inches."""
    left, width = 1 - (_SIDE_IN - 0.16) / _WIDTH_IN, (_SIDE_IN - 0.3) / _WIDTH_IN
    top = (_BEV_HEIGHT_IN - 0.16) / height
    legend(figure, legend_handles(overlay, painted), loc="upper left", bbox_to_anchor=(left, top))
    if overlay.scores is not None:
        bar = figure.add_axes((left, 2.12 / height, width, 0.09 / height), label="scores")
        _paint_score_bar(bar, overlay.scores)
    if any(True for _ in overlay.trajectories()):
        chart = figure.add_axes((left + 0.033, 0.34 / height, width - 0.033, 1.3 / height), label="speed")
        _paint_speeds(chart, overlay, scene.observation.ego.speed)


def legend_handles(overlay: PlanOverlay, painted: Painted) -> list[Any]:
    """One entry for everything that is in the picture, and for nothing else."""
    handles: list[Any] = []
    for name, trajectory in reversed(list(overlay.trajectories())):
        style = trajectory_style(overlay, name, trajectory)
        line: palette.Look = {"color": style.colour, "linestyle": style.dash, "linewidth": style.width}
        marks: palette.Look = {"marker": style.marker or None, "markersize": style.size, "markerfacecolor": palette.PAPER}
        handles.append(Line2D([], [], **line, **marks, label=name))
    if overlay.proposals is not None:
        handles.append(Line2D([], [], color=palette.shade(0.75), linewidth=1.2, label=f"{len(overlay.proposals)} proposals"))
    if painted.has_route:
        handles.append(Line2D([], [], color=palette.ROUTE, linewidth=4.5, label="route"))
    handles.append(Patch(facecolor=palette.EGO, label="ego"))
    fills = {name: colour for name, colour in palette.AGENTS.values() if name in painted.agents}
    edge: palette.Look = {"edgecolor": palette.INK, "linewidth": 0.45}
    handles += [Patch(facecolor=colour, **edge, label=name) for name, colour in fills.items()]
    if painted.has_lidar:
        dots: palette.Look = {"linestyle": "none", "marker": ".", "markersize": 3, "color": palette.LIDAR}
        handles.append(Line2D([], [], **dots, label="LiDAR, 0.2 to 4 m high"))
    for state in LightState:
        if state in painted.lights:
            colour, marker = palette.LIGHTS[state]
            look: palette.Look = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 4.5}
            handles.append(Line2D([], [], **look, label=f"signal: {state.value}"))
    return handles


def _paint_score_bar(axes: PlotAxes, scores: np.ndarray) -> None:
    low, high = float(scores.min()), float(scores.max())
    mappable = ScalarMappable(Normalize(low, high if high > low else low + 1e-9), palette.PROPOSALS)
    bar = axes.figure.colorbar(mappable, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.set_xticks([])
    for score, x, side in ((low, 0.0, "left"), (high, 1.0, "right")):
        look: palette.Look = {"fontsize": palette.SMALL_TEXT_PT, "color": palette.INK, "transform": axes.transAxes}
        axes.text(x, -0.5, f"{score:.2f}", ha=side, va="top", **look)
    axes.set_title("score of a proposal", fontsize=palette.TEXT_PT, loc="left", pad=3, color=palette.INK)


def _paint_speeds(axes: PlotAxes, overlay: PlanOverlay, speed_now: float) -> None:
    """Mean speed between consecutive poses, at the middle of each interval; a ring marks the measured speed now."""
    chart_axes(axes, "time, s", "speed, m/s")
    horizon = 0.0
    for name, trajectory in overlay.trajectories():
        style = trajectory_style(overlay, name, trajectory)
        times, speeds = mean_speeds(trajectory)
        axes.plot(times, speeds, color=style.colour, linestyle=style.dash, linewidth=style.width, clip_on=False)
        horizon = max(horizon, trajectory.horizon_s)
    axes.plot([0], [speed_now], "o", markersize=3.5, color=palette.INK, markerfacecolor=palette.PAPER, clip_on=False, zorder=9)
    axes.set_xlim(0, horizon)
    axes.set_ylim(0, max(1.15 * axes.get_ylim()[1], 2.0))


def mean_speeds(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """Middle of each interval [T], seconds, and mean speed over it [T], m/s, the first interval starting at the origin."""
    steps = np.diff(path_from_ego(trajectory.poses)[:, :2], axis=0)
    times = trajectory.times_s - trajectory.interval_s / 2
    return times, np.hypot(steps[:, 0], steps[:, 1]) / trajectory.interval_s
