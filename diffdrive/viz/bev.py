"""The scene from above, in the ego frame, forward up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, Agents, LidarSweep, LightState, Scene, Trajectory
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.viz import palette
from diffdrive.viz.figure import plain_axes, scale_bar
from diffdrive.viz.map_layer import forward_up, paint_lights, paint_map
from diffdrive.viz.overlay import PlanOverlay, smooth_path


@dataclass(frozen=True, slots=True, kw_only=True)
class BevView:
    """The piece of ground that is shown, metres from the rear axle."""

    ahead_m: float = 48.0
    behind_m: float = 12.0
    side_m: float = 32.0
    """To the left and to the right each."""

    def __post_init__(self) -> None:
        if not (self.ahead_m + self.behind_m > 0 and self.side_m > 0):
            raise InputError(
                f"BevView must show some ground, got {self.ahead_m} m ahead, {self.behind_m} m behind, {self.side_m} m aside."
            )

    @property
    def aspect(self) -> float:
        """Width over height."""
        return 2 * self.side_m / (self.ahead_m + self.behind_m)

    @classmethod
    def around(cls, overlay: PlanOverlay, *, aspect: float) -> BevView:
        """As much as ``overlay`` needs, with room around it; ``aspect`` is width over height. Never less than 36 m ahead."""
        points = [trajectory.poses[:, :2] for _, trajectory in overlay.trajectories()]
        if overlay.proposals is not None:
            points.append(overlay.proposals[..., :2].reshape(-1, 2))
        reach = np.concatenate([*points, np.zeros((1, 2))])
        ahead = float(np.clip(reach[:, 0].max() + 12.0, 36.0, 96.0))
        behind = float(np.clip(8.0 - reach[:, 0].min(), 12.0, 40.0))
        side = max(aspect * (ahead + behind) / 2, float(min(np.abs(reach[:, 1]).max() + 6.0, 60.0)))
        return cls(ahead_m=2 * side / aspect - behind, behind_m=behind, side_m=side)

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Which of the points [N, 2] are shown. Returns bool [N]."""
        x, y = points[:, 0], points[:, 1]
        return (x <= self.ahead_m) & (x >= -self.behind_m) & (np.abs(y) <= self.side_m)


@dataclass(frozen=True, slots=True)
class Painted:
    """What a picture shows, for its legend."""

    agents: tuple[str, ...]
    lights: frozenset[LightState]
    has_lidar: bool
    has_route: bool


def paint_bev(
    axes: PlotAxes,
    scene: Scene,
    overlay: PlanOverlay,
    view: BevView,
    *,
    vehicle: VehicleDimensions = PACIFICA,
    lidar: bool = True,
) -> Painted:
    """Paint map, route, signals, agents, LiDAR, trajectories and ego, in that order from the ground up."""
    plain_axes(axes)
    size = (2 * view.side_m, view.ahead_m + view.behind_m)
    ground = Rectangle((-view.side_m, -view.behind_m), *size, facecolor=palette.GROUND, edgecolor="none", zorder=0)
    axes.add_patch(ground)
    axes.set_xlim(-view.side_m, view.side_m)
    axes.set_ylim(-view.behind_m, view.ahead_m)
    axes.set_aspect("equal")
    vector_map = scene.vector_map.near(np.zeros(2), max(view.ahead_m, view.behind_m, view.side_m) + 10)
    paint_map(axes, vector_map, forward_up)
    if scene.route is not None:
        band: palette.Look = {"color": palette.ROUTE, "linewidth": 5.0, "alpha": 0.75, "solid_capstyle": "butt"}
        axes.plot(*forward_up(scene.route).T, **band, zorder=2, gid="route")
    lights = paint_lights(axes, scene.traffic_lights, vector_map, forward_up)
    has_lidar = lidar and scene.observation.lidar is not None and _paint_lidar(axes, scene.observation.lidar, view)
    shown = view.holds(box_corners(scene.agents.boxes).reshape(-1, 2)).reshape(-1, 4)
    agents = scene.agents.select(np.any(shown, axis=1))
    paint_agents(axes, agents)
    paint_overlay(axes, overlay, vehicle)
    _paint_ego(axes, vehicle)
    scale_bar(axes, 10.0)
    entries = dict.fromkeys(palette.AGENTS[kind][0] for kind in palette.AGENTS if kind in agents.kinds)
    return Painted(tuple(entries), frozenset(lights), has_lidar, scene.route is not None)


def paint_agents(axes: PlotAxes, agents: Agents) -> None:
    """Boxes by kind; a line from the centre to the front shows the heading. A triangle marks a cone, whose box is too small."""
    if not len(agents):
        return
    fills = [palette.AGENTS[kind][1] for kind in agents.kinds]
    corners = forward_up(box_corners(agents.boxes))
    edge: palette.Look = {"edgecolors": palette.INK, "linewidths": 0.45}
    axes.add_collection(PolyCollection(list(corners), facecolors=fills, **edge, zorder=4, gid="agents"))
    centre, front = forward_up(agents.boxes[:, :2]), corners[:, :2].mean(axis=1)
    marks = np.stack([centre, front], axis=1)
    axes.add_collection(LineCollection(list(marks), colors=palette.INK, linewidths=0.6, zorder=4.1))
    cones = agents.of_kind(AgentKind.TRAFFIC_CONE)
    fill = palette.AGENTS[AgentKind.TRAFFIC_CONE][1]
    triangle: palette.Look = {"markersize": 4.2, "color": fill, "markeredgecolor": palette.INK, "markeredgewidth": 0.45}
    axes.plot(*forward_up(cones.boxes[:, :2]).T, "^", **triangle, linestyle="none", zorder=4.2, gid="cones")


def paint_overlay(axes: PlotAxes, overlay: PlanOverlay, vehicle: VehicleDimensions) -> None:
    """Proposals worst first, then baselines and human, then the chosen trajectory with the ground it sweeps."""
    if overlay.proposals is not None:
        order = overlay.painting_order
        lines = [forward_up(smooth_path(overlay.proposals[i])[:, :2]) for i in order]
        colours = [palette.shade(float(overlay.shades[i])) for i in order]
        widths = [0.7 + 0.7 * float(overlay.shades[i]) for i in order]
        axes.add_collection(
            LineCollection(lines, colors=colours, linewidths=widths, capstyle="round", zorder=6, gid="proposals")
        )
        ends = np.array([line[-1] for line in lines])
        axes.scatter(ends[:, 0], ends[:, 1], s=5, c=colours, linewidths=0, zorder=6.05)
    for name, trajectory in overlay.trajectories():
        if name == "chosen" and trajectory is overlay.chosen:
            _paint_swath(axes, trajectory, vehicle)
        path = forward_up(smooth_path(trajectory.poses)[:, :2])
        dots = forward_up(trajectory.poses[:, :2])
        style = trajectory_style(overlay, name, trajectory)
        axes.plot(*path.T, zorder=style.zorder, color=style.colour, linestyle=style.dash, linewidth=style.width, gid=name)
        if style.marker:
            marks: palette.Look = {"markersize": style.size, "markerfacecolor": palette.PAPER, "markeredgewidth": 0.7}
            axes.plot(*dots.T, style.marker, color=style.colour, **marks, linestyle="none", zorder=style.zorder + 0.01)


@dataclass(frozen=True, slots=True)
class TrajectoryStyle:
    """How one named trajectory is drawn, above, in the cameras and in the legend."""

    colour: str
    dash: Any
    width: float
    zorder: float
    marker: str = ""
    size: float = 0.0


def trajectory_style(overlay: PlanOverlay, name: str, trajectory: Trajectory) -> TrajectoryStyle:
    """The style of one of ``overlay.trajectories()``."""
    if trajectory is overlay.chosen:
        return TrajectoryStyle(palette.CHOSEN, "-", 1.3, 7.2, "o", 2.8)
    if trajectory is overlay.human:
        # Wider than the chosen one, so that it still shows where the two agree.
        return TrajectoryStyle(palette.HUMAN, "-", 2.6, 7.05, "D", 2.8)
    index = list(overlay.baselines).index(name) % len(palette.BASELINES)
    colour, dash = palette.BASELINES[index]
    return TrajectoryStyle(colour, dash, 1.1, 7.1)


def swath_edges(poses: np.ndarray, vehicle: VehicleDimensions) -> tuple[np.ndarray, np.ndarray]:
    """Left and right edge [K, 2] of the ground that the body's width sweeps behind the rear axle's path [K, 3]."""
    normal = np.stack([-np.sin(poses[:, 2]), np.cos(poses[:, 2])], axis=1) * vehicle.width / 2
    return poses[:, :2] + normal, poses[:, :2] - normal


def _paint_swath(axes: PlotAxes, trajectory: Trajectory, vehicle: VehicleDimensions) -> None:
    left, right = swath_edges(smooth_path(trajectory.poses), vehicle)
    outline = forward_up(np.concatenate([left, right[::-1]]))
    axes.fill(*outline.T, facecolor=to_rgba(palette.CHOSEN, 0.16), edgecolor="none", zorder=5.5)


def _paint_lidar(axes: PlotAxes, sweep: LidarSweep, view: BevView) -> bool:
    """Returns from 0.2 m above the ground up to 4 m: what stands there, not the road itself."""
    points = sweep.points[(sweep.points[:, 2] > 0.2) & (sweep.points[:, 2] < 4.0)]
    points = points[view.holds(points[:, :2])]
    x, y = forward_up(points[:, :2]).T
    # Rasterised: a hundred thousand vector dots make a PDF that no reader opens twice.
    dots: palette.Look = {"markersize": 0.9, "markeredgewidth": 0, "color": palette.LIDAR, "alpha": 0.7}
    axes.plot(x, y, ".", **dots, zorder=4.5, rasterized=True, gid="lidar")
    return len(points) > 0


def _paint_ego(axes: PlotAxes, vehicle: VehicleDimensions) -> None:
    body = forward_up(box_corners(vehicle.boxes(np.zeros(3))))
    axes.fill(*body.T, facecolor=palette.EGO, edgecolor=palette.PAPER, linewidth=0.8, zorder=8)
    nose, half = vehicle.rear_axle_to_center + vehicle.length / 2, 0.32 * vehicle.width
    wedge = forward_up(np.array([[nose - 0.5, 0.0], [nose - 1.9, half], [nose - 1.9, -half]]))
    axes.fill(*wedge.T, facecolor=palette.PAPER, edgecolor="none", zorder=8.1)
