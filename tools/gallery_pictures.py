"""The pictures of the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from diffdrive.features.inputs.camera import build_camera
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, CameraId, LightState, Scene, VectorMap
from diffdrive.tensors import InputLayout
from diffdrive.vehicle import PACIFICA
from diffdrive.viz import BevView, PlanOverlay, palette
from diffdrive.viz.bev import Painted, paint_bev
from diffdrive.viz.camera import paint_camera
from diffdrive.viz.compose import legend_handles
from diffdrive.viz.figure import halo, legend, new_figure, plain_axes, scale_bar
from diffdrive.viz.map_layer import forward_up, north_up, paint_map

WIDTH_IN, GAP_IN, LINE_IN = 9.6, 0.06, 0.2
ACTOR, MAX_OUTLINED = "#c1121f", 3
NIGHT, GROUND_RETURN, GROUND_M = "#12161c", "#4a5663", 0.2
STRIP_VIEW = BevView(ahead_m=36.0, behind_m=8.0, side_m=17.0)
ROAD_VIEW = BevView(ahead_m=52.0, behind_m=12.0, side_m=32.0)
SWEEP_VIEW = BevView(ahead_m=36.0, behind_m=24.0, side_m=64.0)

Captioned = tuple[Scene, str]
"""A scene and what is written below it."""


def draw_strips(rows: Sequence[tuple[str, Sequence[Captioned]]]) -> Figure:
    """What a planner sees (l0, f0 and r0 stitched), row by row, the row's name in the corner and tags below each image."""
    columns = max(len(scenes) for _, scenes in rows)
    width = (WIDTH_IN - GAP_IN * (columns - 1)) / columns
    step = width / 4 + LINE_IN
    figure = new_figure(WIDTH_IN, len(rows) * step)
    page = figure.get_size_inches()
    for row, (name, scenes) in enumerate(rows):
        for column, (scene, caption) in enumerate(scenes):
            left, bottom = column * (width + GAP_IN), page[1] - row * step - width / 4
            axes = _place_stitched(figure, scene, left, bottom, width)
            _name(axes, f"{name}, {scene.location}")
            _caption(figure, caption, left, bottom - 0.5 * LINE_IN)
    return figure


def draw_film(title: str, scenes: Sequence[Scene], actors: frozenset[str], caption: str) -> Figure:
    """Moments of one event from left to right, from above and in the front camera.

    Those who act have a red outline, unless they are many: a row of cones speaks for itself.
    """
    outlined = actors if len(actors) <= MAX_OUTLINED else frozenset()
    width = (WIDTH_IN - GAP_IN * (len(scenes) - 1)) / len(scenes)
    bev_height, shot_height, foot = width / STRIP_VIEW.aspect, width * 9 / 16, 2 * LINE_IN
    figure = new_figure(WIDTH_IN, bev_height + GAP_IN + shot_height + foot)
    start, painted = scenes[0].observation.ego.timestamp_us, []
    for column, scene in enumerate(scenes):
        left = column * (width + GAP_IN)
        bev = _axes(figure, left, foot + shot_height + GAP_IN, width, bev_height)
        painted.append(paint_bev(bev, scene, PlanOverlay(), STRIP_VIEW, lidar=False))
        _outline(bev, scene, outlined)
        ego = scene.observation.ego
        _name(bev, f"{f'+{(ego.timestamp_us - start) * 1e-6:.1f} s' if column else title}, {ego.speed:.1f} m/s")
        shot = _axes(figure, left, foot, width, shot_height)
        paint_camera(shot, scene.observation.cameras[CameraId.F0], PlanOverlay())
    _caption(figure, caption, 0.0, foot - 0.5 * LINE_IN)
    acting = Line2D([], [], color=ACTOR, linewidth=1.6, label="who acts by script")
    _foot_legend(figure, painted, [acting] if outlined else [])
    return figure


def draw_roads(scenes: Sequence[tuple[str, Scene]]) -> Figure:
    """Kinds of roads from above, three in a row."""
    columns = min(3, len(scenes))
    width = (WIDTH_IN - GAP_IN * (columns - 1)) / columns
    height, rows = width / ROAD_VIEW.aspect, -(-len(scenes) // columns)
    figure = new_figure(WIDTH_IN, rows * (height + GAP_IN) + LINE_IN)
    page, painted = figure.get_size_inches(), []
    for index, (name, scene) in enumerate(scenes):
        row, column = divmod(index, columns)
        axes = _axes(figure, column * (width + GAP_IN), page[1] - row * (height + GAP_IN) - height, width, height)
        painted.append(paint_bev(axes, scene, PlanOverlay(), ROAD_VIEW, lidar=False))
        _name(axes, f"{name}, {scene.location}")
    _foot_legend(figure, painted, [])
    return figure


def draw_sweep(scene: Scene, caption: str) -> Figure:
    """One LiDAR sweep from above, coloured by height, with the boxes; below it what the cameras see at the same moment."""
    height, strip = WIDTH_IN / SWEEP_VIEW.aspect, WIDTH_IN / 4
    figure = new_figure(WIDTH_IN, height + GAP_IN + strip + LINE_IN)
    axes = _axes(figure, 0.0, LINE_IN + strip + GAP_IN, WIDTH_IN, height)
    axes.set_xlim(-SWEEP_VIEW.side_m, SWEEP_VIEW.side_m)
    axes.set_ylim(-SWEEP_VIEW.behind_m, SWEEP_VIEW.ahead_m)
    size = (2 * SWEEP_VIEW.side_m, SWEEP_VIEW.ahead_m + SWEEP_VIEW.behind_m)
    axes.add_patch(Rectangle((-SWEEP_VIEW.side_m, -SWEEP_VIEW.behind_m), *size, facecolor=NIGHT, edgecolor="none", zorder=0))
    sweep = scene.observation.lidar
    points = sweep.points if sweep is not None else np.zeros((0, 3))
    shown = points[SWEEP_VIEW.holds(points[:, :2])]
    is_ground = shown[:, 2] < GROUND_M
    common: palette.Look = {"linewidths": 0, "rasterized": True}
    x, y = forward_up(shown[is_ground, :2]).T
    axes.scatter(x, y, s=0.7, c=GROUND_RETURN, zorder=1, **common)
    x, y = forward_up(shown[~is_ground, :2]).T
    axes.scatter(x, y, s=1.6, c=np.clip(shown[~is_ground, 2], 0, 9), cmap="plasma", vmin=-2, zorder=2, **common)
    agents = scene.agents.select(SWEEP_VIEW.holds(scene.agents.boxes[:, :2]))
    edges = [palette.AGENTS[kind][1] for kind in agents.kinds]
    outlines = list(forward_up(box_corners(agents.boxes)))
    axes.add_collection(PolyCollection(outlines, facecolors="none", edgecolors=edges, linewidths=0.9, zorder=3))
    body = forward_up(box_corners(PACIFICA.boxes(np.zeros(3))))
    axes.fill(*body.T, facecolor=palette.PAPER, edgecolor="none", zorder=4)
    scale_bar(axes, 10.0)
    _name(axes, f"{len(points):,} returns; grey: below {GROUND_M} m, violet to yellow: the higher the lighter")
    _place_stitched(figure, scene, 0.0, LINE_IN, WIDTH_IN)
    _caption(figure, caption, 0.0, 0.5 * LINE_IN)
    return figure


def draw_towns(towns: Sequence[tuple[str, VectorMap, Sequence[np.ndarray]]]) -> Figure:
    """Whole towns side by side, north up, with the paths [K, 3] that were driven in them."""
    width = (WIDTH_IN - GAP_IN * (len(towns) - 1)) / len(towns)
    figure = new_figure(WIDTH_IN, width)
    for column, (name, vector_map, paths) in enumerate(towns):
        axes = _axes(figure, column * (width + GAP_IN), 0.0, width, width)
        ground = np.concatenate([lane.polygon for lane in vector_map.lanes])
        middle, half = (ground.max(axis=0) + ground.min(axis=0)) / 2, np.ptp(ground, axis=0).max() / 2 + 25.0
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)
        corner = middle - half
        axes.add_patch(Rectangle(corner, 2 * half, 2 * half, facecolor=palette.GROUND, edgecolor="none", zorder=0))
        paint_map(axes, vector_map, north_up, fine=False)
        lines = [path[:, :2] for path in paths]
        axes.add_collection(LineCollection(lines, colors=palette.CHOSEN, linewidths=0.9, alpha=0.8, zorder=4))
        scale_bar(axes, 100.0)
        _name(axes, name)
    return figure


def _place_stitched(figure: Figure, scene: Scene, left: float, bottom: float, width: float) -> PlotAxes:
    """What a planner sees of the three front cameras."""
    axes = _axes(figure, left, bottom, width, width / 4)
    image = build_camera(scene.observation.cameras, InputLayout()).permute(1, 2, 0).numpy()
    axes.imshow(image, aspect="auto", interpolation="antialiased")
    return axes


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> PlotAxes:
    """Plain axes at a place in inches."""
    page = figure.get_size_inches()
    axes = figure.add_axes((left / page[0], bottom / page[1], width / page[0], height / page[1]), label=f"{left} {bottom}")
    plain_axes(axes)
    return axes


def _name(axes: PlotAxes, text: str) -> None:
    tag: palette.Look = {"boxstyle": "round,pad=0.25", "facecolor": palette.INK, "edgecolor": "none", "alpha": 0.65}
    look: palette.Look = {"fontsize": palette.TEXT_PT, "color": palette.PAPER, "ha": "left", "va": "top", "bbox": tag}
    # In points from the corner: a share of the axes would differ between wide and narrow ones.
    axes.annotate(text, (0, 1), (5, -6), xycoords="axes fraction", textcoords="offset points", **look, zorder=40)


def _caption(figure: Figure, text: str, left: float, y: float) -> None:
    page = figure.get_size_inches()
    look: palette.Look = {"fontsize": palette.SMALL_TEXT_PT, "color": palette.FAINT_INK, "va": "center"}
    figure.text((left + 0.04) / page[0], y / page[1], text, **look)


def _outline(axes: PlotAxes, scene: Scene, actors: frozenset[str]) -> None:
    acting = scene.agents.select(np.array([token in actors for token in scene.agents.track_tokens], dtype=bool))
    if not len(acting):
        return
    # Grown, so that a walker's outline does not hide the walker.
    boxes = acting.boxes + np.array([0, 0, 0, 0.5, 0.5])
    rings = PolyCollection(list(forward_up(box_corners(boxes))), facecolors="none", edgecolors=ACTOR, linewidths=1.3, zorder=7)
    axes.add_collection(rings)
    halo(rings, 2.4)


def _foot_legend(figure: Figure, painted: Sequence[Painted], more: list[Any]) -> None:
    """One line at the foot of the page for everything in its pictures."""
    agents = {name for one in painted for name in one.agents}
    kinds = [palette.AGENTS[kind][0] for kind in AgentKind]
    everything = Painted(
        agents=tuple(name for name in dict.fromkeys(kinds) if name in agents),
        lights=frozenset(state for state in LightState if any(state in one.lights for one in painted)),
        has_lidar=False,
        has_route=any(one.has_route for one in painted),
    )
    handles = [*more, *legend_handles(PlanOverlay(), everything)]
    legend(figure, handles, loc="lower left", bbox_to_anchor=(0.004, 0.004), ncols=len(handles), columnspacing=1.0)
