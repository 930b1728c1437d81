"""A small drive made by hand and written as a 123D log: 8 s at 10 Hz along a bend, with two others, a light and a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from diffdrive.geometry import to_world
from diffdrive.log123d.write import LogRecord, write_log
from diffdrive.log123d.write_map import write_map
from diffdrive.log123d.write_sensors import SensorFrame
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    CameraFrame,
    CameraId,
    Lane,
    LidarSweep,
    LightState,
    Line,
    LineKind,
    TrafficLight,
    VectorMap,
)
from diffdrive.vehicle import PACIFICA

FRAMES = 81
SPEED = 5.0
YAW_RATE = 0.1
START_US = 7_000_000

# OpenCV camera axes (z forward, x right, y down) seen from a vehicle (x forward, y left, z up).
EGO_FROM_CAMERA = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0.2], [0, -1, 0, 1.6], [0, 0, 0, 1]])


def poses() -> np.ndarray:
    """[T, 3] a left bend at constant speed, from (100, 50) with heading 0.3."""
    time = np.arange(FRAMES) * 0.1
    turned = YAW_RATE * time
    radius = SPEED / YAW_RATE
    local = np.column_stack([radius * np.sin(turned), radius * (1 - np.cos(turned)), turned])
    return to_world(local, np.array([100.0, 50.0, 0.3]))


def agents_at(frame: int) -> Agents:
    """A car driving east at 3 m/s, a pedestrian standing."""
    return Agents(
        track_tokens=("car", "walker"),
        kinds=(AgentKind.VEHICLE, AgentKind.PEDESTRIAN),
        boxes=np.array([[110 + 0.3 * frame, 60, 0.0, 4.5, 1.9], [120, 45, -2.0, 0.6, 0.7]]),
        vertical=np.array([[0.8, 1.6], [0.9, 1.8]]),
        velocities=np.array([[3.0, 0.0], [0.0, 0.0]]),
    )


def town_map() -> VectorMap:
    """Two lanes in a row (the second crosses a junction), side by side with a third, and one area of several kinds."""

    def strip(name: int, x: float, y: float, **links: object) -> Lane:
        center = np.array([[x, y], [x + 25, y], [x + 50, y]])
        half = np.array([0, 1.75])
        values: dict = {"lane_group_id": str(name + 10), "speed_limit_mps": 13.9, **links}
        return Lane(lane_id=str(name), centerline=center, left_boundary=center + half, right_boundary=center - half, **values)

    def square(name: int, kind: AreaKind, x: float, **more: object) -> Area:
        corners = np.array([[x, 40.0], [x + 8, 40], [x + 8, 60], [x, 60]])
        return Area(area_id=str(name), kind=kind, outline=corners, **more)  # type: ignore[arg-type]

    return VectorMap(
        lanes=(
            strip(1, 100, 50, successor_ids=("2",)),
            strip(2, 150, 50, predecessor_ids=("1",), intersection_id="4", left_lane_id="3"),
            strip(3, 150, 53.5, right_lane_id="2", is_bike_lane=True),
        ),
        areas=(
            square(4, AreaKind.INTERSECTION, 150),
            square(5, AreaKind.CROSSWALK, 140),
            square(6, AreaKind.STOP_ZONE, 138, lane_ids=("1",)),
            square(7, AreaKind.WALKWAY, 100),
        ),
        lines=(
            Line(line_id="8", kind=LineKind.ROAD_EDGE, points=np.array([[100.0, 40], [200, 40]])),
            Line(line_id="9", kind=LineKind.DASHED_WHITE, points=np.array([[100.0, 52], [200, 52]])),
        ),
    )


def sensors_at(frame: int) -> SensorFrame:
    """Three tiny images of one colour each, and five points."""
    intrinsics = np.array([[40.0, 0, 32], [0, 40, 16], [0, 0, 1]])
    shades = {CameraId.L0: 40, CameraId.F0: 120, CameraId.R0: 200}
    cameras = {
        camera: CameraFrame(
            image=np.full((32, 64, 3), shade, dtype=np.uint8), intrinsics=intrinsics, ego_from_camera=EGO_FROM_CAMERA
        )
        for camera, shade in shades.items()
    }
    points = np.array([[10.0, 0, 0.5], [20, 5, 1], [-5, 2, 0], [7, -3, 2], [30, 1, frame * 0.01]], dtype=np.float32)
    return SensorFrame(cameras=cameras, lidar=LidarSweep(points=points))


def small_record(*, with_route: bool = True, sensor_frames: Sequence[int] = (), frames: int = FRAMES) -> LogRecord:
    track = poses()[:frames]
    return LogRecord(
        dataset="drivetown",
        split="val",
        name="bend",
        location="hand",
        timestamps_us=START_US + 100_000 * np.arange(frames),
        poses=track,
        velocities=np.tile([SPEED, 0.0], (frames, 1)),
        accelerations=np.tile([0.0, SPEED * YAW_RATE], (frames, 1)),
        yaw_rates=np.full(frames, YAW_RATE),
        vehicle=PACIFICA,
        agents=tuple(agents_at(i) for i in range(frames)),
        traffic_lights=tuple(
            (TrafficLight(lane_id="2", state=LightState.RED if i < 40 else LightState.GREEN),) for i in range(frames)
        ),
        # The plan goes on where the drive ends, so that every scene still has some of it left.
        route=np.concatenate([poses()[:, :2], to_world(np.array([[10.0, 0], [40, 0]]), poses()[-1])]) if with_route else None,
        sensors={i: sensors_at(i) for i in sensor_frames},
    )


def write_small_root(root: Path, *, name: str = "bend", with_map: bool = True, **options: object) -> Path:
    """A data root with one log called ``name`` and its map. Returns ``root``."""
    record = replace(small_record(**options), name=name)  # type: ignore[arg-type]
    if with_map:
        write_map(town_map(), root, dataset="drivetown", location="hand", signalised_lanes={"2"})
    write_log(record, root)
    return root
