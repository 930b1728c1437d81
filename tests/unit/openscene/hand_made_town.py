"""A map by hand with every kind of link that maps have, and a drive along it."""

from __future__ import annotations

import numpy as np

from diffdrive.openscene import LogToExport
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    CameraFrame,
    CameraId,
    DrivingCommand,
    EgoState,
    Lane,
    LidarSweep,
    LightState,
    Observation,
    Scene,
    TrafficLight,
    VectorMap,
)

START_US = 1_700_000_000_000_000


def lane(lane_id: str, start: float, end: float, y: float = 0.0, **values: object) -> Lane:
    """Eastwards, 4 m wide."""
    x = np.linspace(start, end, 4)
    return Lane(
        lane_id=lane_id,
        centerline=np.column_stack([x, np.full(4, y)]),
        left_boundary=np.column_stack([x, np.full(4, y + 2)]),
        right_boundary=np.column_stack([x, np.full(4, y - 2)]),
        **{"lane_group_id": f"g{lane_id}", **values},  # type: ignore[arg-type]
    )


def area(area_id: str, kind: AreaKind, low: tuple[float, float], high: tuple[float, float], **values: object) -> Area:
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])], dtype=np.float64)
    return Area(area_id=area_id, kind=kind, outline=corners, **values)  # type: ignore[arg-type]


def town() -> VectorMap:
    """Along x: a and its left neighbour a2 (0..50), then lane b (50..80), crossing x, y (80..100), lane c (100..160).

    a leads to b and, over the short connector s without an area of its own, to d beside b. x leads to y, both in the crossing.
    """
    return VectorMap(
        lanes=(
            lane("a", 0, 50, successor_ids=("b", "s"), lane_group_id="ga", left_lane_id="a2", speed_limit_mps=12.0),
            lane("a2", 0, 50, 4, lane_group_id="ga", right_lane_id="a", successor_ids=("gone",)),
            lane("b", 50, 80, successor_ids=("x",)),
            lane("x", 80, 90, successor_ids=("y",), intersection_id="i", speed_limit_mps=0.0),
            lane("y", 90, 100, successor_ids=("c",), intersection_id="i"),
            lane("c", 100, 160),
            lane("s", 50, 56, -1, successor_ids=("d",), intersection_id="bare"),
            lane("d", 56, 80, -4, is_bike_lane=True, lane_group_id="gb"),
        ),
        areas=(
            area("i", AreaKind.INTERSECTION, (80, -8), (100, 8)),
            area("ga", AreaKind.LANE_GROUP, (0, -2), (50, 6)),
            area("z", AreaKind.STOP_ZONE, (78, -2), (80, 2), lane_ids=("x",)),
            area("z2", AreaKind.STOP_ZONE, (48, -2), (50, 2), lane_ids=("s",)),
            area("p", AreaKind.CARPARK, (10, 6), (30, 12)),
            area("q", AreaKind.GENERIC_DRIVABLE, (100, 2), (160, 5)),
            area("w", AreaKind.WALKWAY, (0, -6), (50, -2)),
            area("k", AreaKind.CROSSWALK, (76, -2), (78, 2)),
        ),
    )


def frame(index: int, *, log_name: str = "drive", sensors: bool = False, step_us: int = 500_000) -> Scene:
    """The ego on lane a at 6 m/s, one car ahead of it, a red light at x."""
    ego = EgoState(
        timestamp_us=START_US + index * step_us,
        pose=np.zeros(3),
        velocity=np.array([6.0, 0.1]),
        acceleration=np.array([0.2, -0.3]),
    )
    heading = 0.02 * index
    rng = np.random.default_rng(index)
    return Scene(
        token=f"{log_name}-{START_US + index * step_us}",
        log_name=log_name,
        location="hand",
        world_from_ego=np.array([5.0 + 3.0 * index, 0.1, heading]),
        observation=Observation(
            ego_history=(ego,),
            command=DrivingCommand.RIGHT,
            cameras={CameraId.F0: _camera(rng)} if sensors else {},
            lidar=LidarSweep(points=rng.normal(scale=20, size=(50, 3)).astype(np.float32)) if sensors else None,
        ),
        agents=Agents(
            track_tokens=("car", "cone"),
            kinds=(AgentKind.VEHICLE, AgentKind.TRAFFIC_CONE),
            boxes=np.array([[20.0 - index, 0.5, 0.3, 4.5, 1.9], [8.0, -3.0, 0.0, 0.4, 0.5]]),
            vertical=np.array([[0.8, 1.6], [0.4, 0.7]]),
            velocities=np.array([[3.0, -0.5], [0.0, 0.0]]),
        ),
        traffic_lights=(
            TrafficLight(lane_id="x", state=LightState.RED if index % 2 else LightState.YELLOW),
            TrafficLight(lane_id="unheard of", state=LightState.RED),
        ),
    )


def _camera(rng: np.random.Generator) -> CameraFrame:
    matrix = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0.2], [0, -1, 0, 1.6], [0, 0, 0, 1]])
    intrinsics = np.array([[48.0, 0, 24], [0, 48, 14], [0, 0, 1]])
    image = np.broadcast_to(rng.integers(0, 255, 3), (27, 48, 3)).astype(np.uint8)
    return CameraFrame(image=image, intrinsics=intrinsics, ego_from_camera=matrix)


def log(
    name: str = "drive", *, vector_map: VectorMap | None = None, sensors: bool = False, step_us: int = 500_000
) -> LogToExport:
    """Four frames; the route leads from a through the crossing to c."""
    scenes = {scene.token: scene for scene in (frame(i, log_name=name, sensors=sensors, step_us=step_us) for i in range(4))}
    return LogToExport(
        name=name,
        split="mini",
        location="hand",
        vector_map=town() if vector_map is None else vector_map,
        route=("a", "b", "x", "y", "c"),
        tokens=tuple(scenes),
        load=scenes.__getitem__,
    )
