"""A scene built by hand: a road that curves left over a crossing, a few agents, LiDAR, signals, and three ray-cast cameras."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import box_corners, points_in_box, transform_points
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    CameraFrame,
    CameraId,
    DrivingCommand,
    EgoState,
    Future,
    Lane,
    LidarSweep,
    LightState,
    Line,
    LineKind,
    Observation,
    Scene,
    TrafficLight,
    Trajectory,
    VectorMap,
)

RADIUS_M = 60.0
LANE_M = 3.5
SPEED_MPS = 8.0


def along_curve(arc_m: np.ndarray, left_m: float = 0.0) -> np.ndarray:
    """[K, 3] poses: straight until 15 m ahead, then a left bend of RADIUS_M; shifted ``left_m`` to the left."""
    arc_m = np.asarray(arc_m, dtype=np.float64)
    turn = np.clip(arc_m - 15.0, 0.0, None) / RADIUS_M
    x = np.minimum(arc_m, 15.0) + RADIUS_M * np.sin(turn) - left_m * np.sin(turn)
    y = RADIUS_M * (1 - np.cos(turn)) + left_m * np.cos(turn)
    return np.stack([x, y, turn], axis=-1)


def make_map() -> VectorMap:
    lanes, lines = [], []
    for part, (start, end) in enumerate([(-40.0, 14.0), (14.0, 30.0), (30.0, 90.0)]):
        arc = np.linspace(start, end, 40)
        for side, offset in (("right", 0.0), ("left", LANE_M)):
            edges = [along_curve(arc, offset + half)[:, :2] for half in (LANE_M / 2, -LANE_M / 2)]
            left, right = edges if side == "right" else [edge[::-1] for edge in edges[::-1]]
            centre = along_curve(arc, offset)[:, :2]
            name = f"{side}{part}"
            connector = "junction" if part == 1 else None
            centre = centre if side == "right" else centre[::-1]
            lanes.append(
                Lane(lane_id=name, centerline=centre, left_boundary=left, right_boundary=right, intersection_id=connector)
            )
        if part != 1:
            middle, far, near = (along_curve(arc, offset)[:, :2] for offset in (LANE_M / 2, 1.5 * LANE_M, -LANE_M / 2))
            lines.append(Line(line_id=f"middle{part}", kind=LineKind.DASHED_YELLOW, points=middle))
            lines += [Line(line_id=f"edge{part}{i}", kind=LineKind.ROAD_EDGE, points=p) for i, p in enumerate((far, near))]
    arc = np.linspace(-40, 90, 120)
    walkways = []
    for index, (inner, outer) in enumerate([(1.5 * LANE_M, 1.5 * LANE_M + 2.5), (-LANE_M / 2 - 2.5, -LANE_M / 2)]):
        outline = np.concatenate([along_curve(arc, outer)[:, :2], along_curve(arc[::-1], inner)[:, :2]])
        walkways.append(Area(area_id=f"walk{index}", kind=AreaKind.WALKWAY, outline=outline))
    cross = np.array([[19.0, -22], [26.0, -22], [26.0, 24], [19.0, 24]])
    zebra = np.array([[13.5, -1.75], [17.0, -1.75], [17.0, 5.25], [13.5, 5.25]])
    areas = (
        *walkways,
        Area(area_id="cross_road", kind=AreaKind.INTERSECTION, outline=cross),
        Area(area_id="zebra", kind=AreaKind.CROSSWALK, outline=zebra),
    )
    return VectorMap(lanes=tuple(lanes), areas=areas, lines=tuple(lines))


def make_agents() -> Agents:
    ahead, oncoming = along_curve(np.array([34.0]))[0], along_curve(np.array([48.0]), LANE_M)[0]
    boxes = [
        [*ahead, 4.6, 1.9],
        [oncoming[0], oncoming[1], oncoming[2] - np.pi, 4.8, 2.0],
        [22.0, -14.0, np.pi / 2, 4.5, 1.9],
        [15.0, 7.0, -np.pi / 2, 0.7, 0.7],
        [15.8, 6.2, -np.pi / 2, 0.7, 0.7],
        [8.0, -2.6, 0.1, 1.8, 0.7],
        [26.5, -3.2, 0.0, 0.5, 0.5],
    ]
    kinds = (
        *[AgentKind.VEHICLE] * 3,
        AgentKind.PEDESTRIAN,
        AgentKind.PEDESTRIAN,
        AgentKind.BICYCLE,
        AgentKind.TRAFFIC_CONE,
    )
    heights = np.array([1.6, 1.7, 1.5, 1.75, 1.7, 1.6, 0.9])
    return Agents(
        track_tokens=tuple(f"track{i}" for i in range(len(kinds))),
        kinds=kinds,
        boxes=np.array(boxes),
        vertical=np.stack([heights / 2, heights], axis=1),
        velocities=np.zeros((len(kinds), 2)),
    )


def make_lidar(agents: Agents, seed: int = 0) -> LidarSweep:
    """Returns on the outlines of the boxes and on two house fronts, and some on the ground."""
    random = np.random.default_rng(seed)
    corners = box_corners(agents.boxes)
    points = []
    for ring, height in zip(corners, agents.vertical[:, 1], strict=True):
        share = random.random((120, 1))
        side = random.integers(0, 4, 120)
        flat = ring[side] * (1 - share) + ring[(side + 1) % 4] * share
        points.append(np.hstack([flat, random.random((120, 1)) * height]))
    for y in (-12.0, 16.0):
        wall = np.stack([random.uniform(-30, 14, 900), np.full(900, y), random.uniform(0, 6, 900)], axis=1)
        points.append(wall)
    points.append(np.hstack([random.uniform(-40, 60, (800, 2)), np.zeros((800, 1))]))
    return LidarSweep(points=np.concatenate(points).astype(np.float32))


def make_camera(yaw: float, vector_map: VectorMap, agents: Agents, width: int = 320, height: int = 180) -> CameraFrame:
    """A ray-cast image of the ground: grey road, sand walkway, green rest, blue sky, agents' footprints dark."""
    forward = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    ego_from_camera = np.eye(4)
    ego_from_camera[:3, :3] = np.stack([right, [0.0, 0.0, -1.0], forward], axis=1)
    ego_from_camera[:3, 3] = [1.6, 0.0, 1.55]
    focal = 0.55 * width
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([(columns - width / 2) / focal, (rows - height / 2) / focal, np.ones_like(columns)], axis=-1)
    directions = transform_points(ego_from_camera, rays.reshape(-1, 3)) - ego_from_camera[:3, 3]
    ground = directions[:, 2] < -0.015
    image = np.tile(np.array([186, 208, 232]), (len(directions), 1))
    reach = -ego_from_camera[2, 3] / directions[ground, 2]
    hits = (ego_from_camera[:3, 3] + directions[ground] * reach[:, None])[:, :2]
    image[ground] = _ground_colours(hits, vector_map, agents)
    frame = image.reshape(height, width, 3).astype(np.uint8)
    return CameraFrame(image=frame, intrinsics=intrinsics, ego_from_camera=ego_from_camera)


def _ground_colours(points: np.ndarray, vector_map: VectorMap, agents: Agents) -> np.ndarray:
    from matplotlib.path import Path

    colours = np.tile(np.array([124, 146, 100]), (len(points), 1))
    for area in vector_map.areas_of(AreaKind.WALKWAY, AreaKind.INTERSECTION):
        walk = area.kind is AreaKind.WALKWAY
        colours[Path(area.outline).contains_points(points)] = [186, 176, 156] if walk else [104, 108, 114]
    for lane in vector_map.lanes:
        colours[Path(lane.polygon).contains_points(points)] = [104, 108, 114]
    for area in vector_map.areas_of(AreaKind.CROSSWALK):
        inside = Path(area.outline).contains_points(points)
        colours[inside & (np.floor(points[:, 1] / 0.6) % 2 == 0)] = [235, 235, 235]
    for box in agents.boxes:
        colours[points_in_box(points, box)] = [52, 56, 62]
    return colours


def make_scene(*, sensors: bool = True) -> Scene:
    vector_map, agents = make_map(), make_agents()
    history = tuple(
        EgoState(timestamp_us=i * 500_000, pose=[(i - 3) * 0.5 * SPEED_MPS, 0, 0], velocity=[SPEED_MPS, 0], acceleration=[0, 0])
        for i in range(4)
    )
    yaws = {CameraId.L0: np.deg2rad(55), CameraId.F0: 0.0, CameraId.R0: -np.deg2rad(55)}
    cameras = {camera: make_camera(yaw, vector_map, agents) for camera, yaw in yaws.items()} if sensors else {}
    future = Trajectory(along_curve(np.arange(1, 9) * 0.5 * SPEED_MPS * 0.93))
    return Scene(
        token="hand-made-0",
        log_name="hand made",
        location="drawing board",
        world_from_ego=np.array([100.0, 50.0, 0.3]),
        observation=Observation(
            ego_history=history,
            command=DrivingCommand.LEFT,
            cameras=cameras,
            lidar=make_lidar(agents) if sensors else None,
        ),
        agents=agents,
        vector_map=vector_map,
        traffic_lights=(
            TrafficLight(lane_id="right1", state=LightState.GREEN),
            TrafficLight(lane_id="left1", state=LightState.RED),
        ),
        route=along_curve(np.linspace(0, 80, 60))[:, :2],
        future=Future(ego=future, agents=(agents,) * 8),
    )


def make_proposals(modes: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """[M, 8, 3] poses and [M] scores: a fan of speeds and lateral ends; the best stays near the lane's centre."""
    steps = np.arange(1, 9) * 0.5
    poses, scores = [], []
    for index in range(modes):
        speed = 3.0 + 8.0 * ((index * 7) % modes) / modes
        shift = np.linspace(-4.0, 6.0, modes)[index]
        share = (steps / 4.0) ** 2
        centre = along_curve(steps * speed)
        left = np.stack([-np.sin(centre[:, 2]), np.cos(centre[:, 2])], axis=1)
        moved = centre[:, :2] + left * (share * shift)[:, None]
        steer = np.arctan2(2 * share * shift / steps, speed)
        poses.append(np.hstack([moved, (centre[:, 2] + steer)[:, None]]))
        scores.append(np.exp(-(shift**2) / 3 - (speed - SPEED_MPS) ** 2 / 8))
    return np.array(poses), np.array(scores)
