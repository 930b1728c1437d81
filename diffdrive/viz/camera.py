"""The same trajectories in the camera images, laid on the ground plane.

Everything is clipped in space, before it is projected: a segment that passes behind the camera ends at the near plane
instead of turning up mirrored in the sky.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import PathPatch
from matplotlib.path import Path as PlotPath

from diffdrive.geometry import box_corners, invert_transform, project_points, transform_points
from diffdrive.scene import Agents, CameraFrame
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.viz import palette
from diffdrive.viz.bev import swath_edges, trajectory_style
from diffdrive.viz.figure import plain_axes
from diffdrive.viz.overlay import PlanOverlay, smooth_path

NEAR_M = 1.0
"""Nothing closer to the camera than this is drawn."""

# Corner indices of a box's twelve edges: the bottom ring 0-3, the top ring 4-7, the posts.
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))


def paint_camera(
    axes: PlotAxes,
    frame: CameraFrame,
    overlay: PlanOverlay,
    *,
    agents: Agents | None = None,
    vehicle: VehicleDimensions = PACIFICA,
) -> None:
    """Paint the image, the proposals, the human's and the baselines' lines, the chosen swath; agent boxes if given."""
    height, width = frame.image.shape[:2]
    plain_axes(axes)
    axes.imshow(frame.image, extent=(0, width, height, 0), interpolation="antialiased", zorder=0)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    if agents is not None:
        _paint_boxes(axes, frame, agents)
    if overlay.proposals is not None:
        for index in overlay.painting_order:
            shade = float(overlay.shades[index])
            style: palette.Look = {"colour": palette.shade(shade), "width": 0.7 + 0.7 * shade, "zorder": 3.0}
            _paint_line(axes, frame, smooth_path(overlay.proposals[index])[:, :2], **style, gid="proposal")
    for name, trajectory in overlay.trajectories():
        style_of = trajectory_style(overlay, name, trajectory)
        path = smooth_path(trajectory.poses)
        if trajectory is overlay.chosen:
            _paint_swath(axes, frame, path, vehicle)
            continue
        common: palette.Look = {
            "colour": style_of.colour,
            "width": style_of.width + 0.2,
            "dash": style_of.dash,
            "zorder": style_of.zorder,
        }
        _paint_line(axes, frame, path[:, :2], **common, gid=name)


def pixels_of_path(frame: CameraFrame, points: np.ndarray, near_m: float = NEAR_M) -> list[np.ndarray]:
    """The visible runs of a path in the image, each [K, 2] pixels (column, row), K >= 2.

    ``points`` [N, 2] on the ground plane or [N, 3] in the ego frame, metres. What is closer than ``near_m`` in front of the
    camera, or behind it, is cut off where the path crosses that depth. Runs may leave the image at its borders.
    """
    camera = _to_camera(frame, points)
    runs: list[list[np.ndarray]] = []
    for k, (start, end) in enumerate(pairwise(camera)):
        if max(start[2], end[2]) < near_m:
            continue
        stop = end if end[2] >= near_m else _cut(start, end, near_m)
        if k > 0 and start[2] >= near_m:
            runs[-1].append(stop)
        else:
            runs.append([start if start[2] >= near_m else _cut(start, end, near_m), stop])
    return [project_points(np.array(run), frame.intrinsics)[0] for run in runs]


def pixels_of_polygon(frame: CameraFrame, points: np.ndarray, near_m: float = NEAR_M) -> np.ndarray:
    """The image of a polygon, [K, 2] pixels, cut off at depth ``near_m``; K is 0 when nothing of it lies in front.

    ``points`` [N, 2] on the ground plane or [N, 3] in the ego frame, metres.
    """
    camera = _to_camera(frame, points)
    kept: list[np.ndarray] = []
    for start, end in zip(camera, np.roll(camera, -1, axis=0), strict=True):
        if start[2] >= near_m:
            kept.append(start)
        if (start[2] >= near_m) != (end[2] >= near_m):
            kept.append(_cut(start, end, near_m))
    return project_points(np.array(kept), frame.intrinsics)[0] if len(kept) > 2 else np.zeros((0, 2))


def _to_camera(frame: CameraFrame, points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.shape[-1] == 2:
        points = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
    return transform_points(invert_transform(frame.ego_from_camera), points)


def _cut(start: np.ndarray, end: np.ndarray, depth: float) -> np.ndarray:
    """The point of the segment at that depth (exactly, so that rounding never puts it behind)."""
    point = start + (end - start) * (depth - start[2]) / (end[2] - start[2])
    return np.array([point[0], point[1], depth])


def _paint_line(
    axes: PlotAxes,
    frame: CameraFrame,
    path: np.ndarray,
    *,
    colour: Any,
    width: float,
    zorder: float,
    gid: str,
    dash: Any = "-",
) -> None:
    runs = pixels_of_path(frame, path)
    if runs:
        style: palette.Look = {"colors": [colour], "linewidths": width, "linestyles": [dash], "zorder": zorder}
        axes.add_collection(LineCollection(runs, **style, gid=gid), autolim=False)


def _paint_swath(axes: PlotAxes, frame: CameraFrame, path: np.ndarray, vehicle: VehicleDimensions) -> None:
    """One patch for the whole carpet: quads filled one by one would show their seams."""
    left, right = swath_edges(path, vehicle)
    quads = [np.stack([left[k], right[k], right[k + 1], left[k + 1]]) for k in range(len(path) - 1)]
    pixels = [polygon for polygon in (pixels_of_polygon(frame, quad) for quad in quads) if len(polygon)]
    if not pixels:
        return
    carpet = PlotPath.make_compound_path(*(PlotPath(np.concatenate([p, p[:1]]), closed=True) for p in pixels))
    fill = to_rgba(palette.CHOSEN, 0.42)
    axes.add_patch(PathPatch(carpet, facecolor=fill, edgecolor="none", zorder=2.5, gid="chosen"))
    edges = pixels_of_path(frame, left) + pixels_of_path(frame, right)
    axes.add_collection(LineCollection(edges, colors=palette.CHOSEN, linewidths=1.1, zorder=7.2), autolim=False)


def _paint_boxes(axes: PlotAxes, frame: CameraFrame, agents: Agents) -> None:
    corners = box_corners(agents.boxes)
    for row, kind in enumerate(agents.kinds):
        centre, height = agents.vertical[row]
        low, high = np.full((4, 1), centre - height / 2), np.full((4, 1), centre + height / 2)
        solid = np.concatenate([np.hstack([corners[row], low]), np.hstack([corners[row], high])])
        runs = [run for edge in _EDGES for run in pixels_of_path(frame, solid[list(edge)])]
        style: palette.Look = {"colors": palette.AGENTS[kind][1], "linewidths": 0.8, "zorder": 2.0}
        axes.add_collection(LineCollection(runs, **style, gid="agent"), autolim=False)
