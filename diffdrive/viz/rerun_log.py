"""A drive as a Rerun recording: map, road users, signals, plans, cameras and LiDAR on one timeline. Needs the extra ``viz``.

Open the file with ``rerun FILE.rrd``. The recording's frame has the world's axes and its origin where the drive begins:
Rerun keeps 32-bit floats, in which the coordinates of a real city would lose centimetres.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.geometry import to_world, transform_from_pose, transform_points
from diffdrive.scene import AgentKind, Agents, CameraFrame, CameraId, LidarSweep, Scene, VectorMap
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.viz import palette
from diffdrive.viz.bev import trajectory_style
from diffdrive.viz.overlay import PlanOverlay, smooth_path
from diffdrive.viz.rerun_map import LINE_HEIGHT_M, light_shapes, map_shapes, rgb

TIMELINE = "timestamp"
"""The log's own timestamps."""

ELAPSED = "elapsed"
"""Seconds since the first frame."""

# One above the other, or they would flicker where they cross.
_ROUTE_HEIGHT_M, _DRIVEN_HEIGHT_M, _PLAN_HEIGHT_M = (factor * LINE_HEIGHT_M for factor in (2, 4, 6))
_JPEG_QUALITY = 90
_CAMERA_ORDER = (CameraId.L2, CameraId.L1, CameraId.L0, CameraId.F0, CameraId.R0, CameraId.R1, CameraId.R2, CameraId.B0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFrame:
    """One instant of a drive. What is not given (images, a sweep, a plan) stays as it was the frame before."""

    scene: Scene
    plan: PlanOverlay | None = None
    """In the ego frame of ``scene``."""

    note: str = ""
    """Markdown beside the picture."""


def write_rerun_log(
    path: Path, frames: Iterable[LogFrame], world_map: VectorMap, *, vehicle: VehicleDimensions = PACIFICA
) -> int:
    """Write the drive to ``path`` (.rrd), which appears complete or not at all. Returns the number of frames.

    ``frames`` in order of time, all of one log; they are taken one by one, so a long drive does not have to fit into memory.
    Raises ``InputError`` where Rerun is missing, for another ending and for no frames.
    """
    if find_spec("rerun") is None:
        raise InputError("Recordings for Rerun need rerun-sdk, which is not installed. Get it: pip install 'diffdrive[viz]'")
    if Path(path).suffix != ".rrd":
        raise InputError(f"A Rerun recording ends in .rrd, got '{path}'.")
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise InputError("A recording needs at least one frame, got none.")
    import rerun as rr

    with written_aside(path) as aside:
        stream = rr.RecordingStream("diffdrive", recording_id=first.scene.log_name)
        stream.save(aside, default_blueprint=_blueprint(first.scene))
        try:
            writer = _Writer(stream, first.scene, world_map, vehicle)
            for frame in chain([first], rest):
                writer.write(frame)
            writer.finish()
        finally:
            stream.disconnect()
    return len(writer.driven)


@dataclass
class _Writer:
    """What has to be remembered between frames."""

    stream: Any
    first: Scene
    world_map: VectorMap
    vehicle: VehicleDimensions
    driven: list[np.ndarray] = field(default_factory=list)
    kinds_seen: set[AgentKind] = field(default_factory=set)

    def __post_init__(self) -> None:
        import rerun as rr

        self.lanes = {lane.lane_id: lane for lane in self.world_map.lanes}
        self.stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        for name, shape in map_shapes(self.world_map, self.origin).items():
            self.stream.log(f"world/map/{name}", shape, static=True)
        x = self.vehicle.rear_axle_to_center
        half = np.array([self.vehicle.length, self.vehicle.width, self.vehicle.height]) / 2
        body = rr.Boxes3D(centers=[[x, 0, half[2]]], half_sizes=[half], colors=rgb(palette.CHOSEN), fill_mode="solid")
        self.stream.log("world/ego/body", body, static=True)
        self.stream.log("speed", rr.SeriesLines(colors=rgb(palette.CHOSEN), names="speed, m/s"), static=True)

    @property
    def origin(self) -> np.ndarray:
        """[2] where the recording's frame begins, world frame."""
        return self.first.world_from_ego[:2]

    def write(self, frame: LogFrame) -> None:
        """Everything of one instant."""
        import rerun as rr

        scene, stream = frame.scene, self.stream
        time_us = scene.observation.ego.timestamp_us
        stream.set_time(TIMELINE, timestamp=np.datetime64(time_us, "us"))
        stream.set_time(ELAPSED, duration=(time_us - self.first.observation.ego.timestamp_us) * 1e-6)
        pose = scene.world_from_ego - [*self.origin, 0.0]
        self.driven.append(pose)
        stream.log("world/ego", _placement(transform_from_pose(pose)))
        stream.log("speed", rr.Scalars(scene.observation.ego.speed))
        bars, lamps = light_shapes(scene.traffic_lights, self.lanes, self.origin)
        stream.log("world/lights/stop_bars", bars)
        stream.log("world/lights/lamps", lamps)
        self._write_agents(scene.agents, pose)
        self._write_plan(frame.plan, pose)
        for camera, shot in scene.observation.cameras.items():
            self._write_camera(camera, shot)
        if scene.observation.lidar is not None:
            stream.log("world/lidar", _points(scene.observation.lidar, pose))
        if frame.note:
            stream.log("note", rr.TextDocument(frame.note, media_type="text/markdown"))

    def finish(self) -> None:
        """The whole driven path, and the planned route as it was at the start."""
        import rerun as rr

        strips = {"driven": (_at_height(np.array(self.driven), _DRIVEN_HEIGHT_M), palette.HUMAN, 0.12)}
        if self.first.route is not None:
            route = to_world(self.first.route, self.first.world_from_ego - [*self.origin, 0.0])
            strips["route"] = (_at_height(route, _ROUTE_HEIGHT_M), palette.ROUTE, 0.35)
        for name, (strip, colour, radius) in strips.items():
            self.stream.log(f"world/{name}", rr.LineStrips3D([strip], colors=rgb(colour), radii=radius), static=True)

    def _write_agents(self, agents: Agents, pose: np.ndarray) -> None:
        import rerun as rr

        # A kind that is gone must be logged as gone, or its last boxes would stay.
        self.kinds_seen |= set(agents.kinds)
        for kind in sorted(self.kinds_seen, key=lambda kind: kind.value):
            some = agents.of_kind(kind)
            placed = to_world(some.boxes[:, :3], pose)
            half = np.column_stack([some.boxes[:, 3:], some.vertical[:, 1]]) / 2
            boxes = rr.Boxes3D(
                centers=np.column_stack([placed[:, :2], some.vertical[:, 0]]),
                half_sizes=half,
                quaternions=_turns(placed[:, 2]),
                colors=rgb(palette.AGENTS[kind][1]),
                labels=[f"{kind.value} {token}" for token in some.track_tokens],
                show_labels=False,
                fill_mode="solid",
            )
            self.stream.log(f"world/agents/{kind.value}", boxes)

    def _write_plan(self, plan: PlanOverlay | None, pose: np.ndarray) -> None:
        import rerun as rr

        if plan is None:
            return
        if plan.proposals is not None:
            paths = [_at_height(to_world(smooth_path(plan.proposals[i]), pose), _PLAN_HEIGHT_M) for i in plan.painting_order]
            shades = [tuple(round(255 * v) for v in palette.shade(float(plan.shades[i]))) for i in plan.painting_order]
            self.stream.log("world/plan/proposals", rr.LineStrips3D(paths, colors=shades, radii=0.04))
        for name, trajectory in plan.trajectories():
            path = _at_height(to_world(smooth_path(trajectory.poses), pose), _PLAN_HEIGHT_M)
            colour = trajectory_style(plan, name, trajectory).colour
            self.stream.log(f"world/plan/{name}", rr.LineStrips3D([path], colors=rgb(colour), radii=0.15))

    def _write_camera(self, camera: CameraId, shot: CameraFrame) -> None:
        import rerun as rr

        place = f"world/ego/{camera.value}"
        height, width = shot.image.shape[:2]
        lens = rr.Pinhole(image_from_camera=shot.intrinsics, width=width, height=height, image_plane_distance=1.5)
        self.stream.log(place, _placement(shot.ego_from_camera), lens)
        self.stream.log(f"{place}/image", rr.Image(shot.image).compress(jpeg_quality=_JPEG_QUALITY))


def _blueprint(first: Scene) -> Any:
    """The scene in space on the left, what follows the car; cameras, notes and speed on the right."""
    import rerun.blueprint as rrb

    cameras = [camera for camera in _CAMERA_ORDER if camera in first.observation.cameras]
    # From behind and above, in the frame of the car that the eye follows.
    heading = first.world_from_ego[2]
    ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
    eye = rrb.EyeControls3D(
        position=-24 * ahead + [0, 0, 14], look_target=8 * ahead, eye_up=(0, 0, 1), tracking_entity="world/ego/body"
    )
    space = rrb.Spatial3DView(origin="world", name="Drive", background=rgb(palette.GROUND), line_grid=False, eye_controls=eye)
    views = [rrb.Spatial2DView(origin=f"world/ego/{camera.value}", name=camera.value) for camera in cameras]
    side: list[Any] = [
        *([rrb.Vertical(*views)] if views else []),
        rrb.TextDocumentView(origin="note", name="Now"),
        rrb.TimeSeriesView(origin="speed", name="Speed, m/s"),
    ]
    shares = [3.0] if views else []
    layout = rrb.Horizontal(space, rrb.Vertical(*side, row_shares=[*shares, 1.0, 1.0]), column_shares=[3, 1])
    return rrb.Blueprint(layout, rrb.TimePanel(timeline=ELAPSED, state="collapsed"), rrb.SelectionPanel(state="collapsed"))


def _points(sweep: LidarSweep, pose: np.ndarray) -> Any:
    """The sweep in the recording's frame, the higher the lighter."""
    import rerun as rr
    from matplotlib import colormaps

    points = transform_points(transform_from_pose(pose), sweep.points.astype(np.float64))
    shade = np.clip(sweep.points[:, 2] / 6.0, 0.0, 1.0)
    colours = (255 * colormaps["viridis"](shade)[:, :3]).astype(np.uint8)
    return rr.Points3D(points, colors=colours, radii=0.05)


def _placement(matrix: np.ndarray) -> Any:
    import rerun as rr

    return rr.Transform3D(translation=matrix[:3, 3], mat3x3=matrix[:3, :3])


def _turns(headings: np.ndarray) -> np.ndarray:
    """[K, 4] quaternions x, y, z, w of headings [K]."""
    flat = np.zeros_like(headings)
    return np.column_stack([flat, flat, np.sin(headings / 2), np.cos(headings / 2)])


def _at_height(points: np.ndarray, height_m: float) -> np.ndarray:
    """[K, 3] the points [K, 2 or more] at that height."""
    return np.column_stack([points[:, :2], np.full(len(points), height_m)])
