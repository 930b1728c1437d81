"""A hand-made crossroads and scenes on it, for the tests of the sensors."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import to_world
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    EgoState,
    Lane,
    LightState,
    Line,
    LineKind,
    Observation,
    Scene,
    TrafficLight,
    VectorMap,
)

HALF, REACH, WIDTH = 12.0, 130.0, 3.5
ORIGIN = np.array([331_000.0, 4_690_000.0])


def _turned(points: list[tuple[float, float]], quarter: int) -> np.ndarray:
    return to_world(np.array(points), np.array([*ORIGIN, quarter * np.pi / 2]))


def _straight(lane_id: str, quarter: int, x0: float, x1: float, y: float, **more: object) -> Lane:
    xs = np.linspace(x0, x1, 5)
    return Lane(
        lane_id=lane_id,
        centerline=_turned([(x, y) for x in xs], quarter),
        left_boundary=_turned([(x, y + WIDTH / 2) for x in xs], quarter),
        right_boundary=_turned([(x, y - WIDTH / 2) for x in xs], quarter),
        **more,  # type: ignore[arg-type]
    )


def crossroads(*, walkways: bool = True) -> VectorMap:
    """Two roads with two lanes each way, in far-off world coordinates."""
    lanes, areas, lines = [], [], []
    for q in range(4):
        for k, y in enumerate((-WIDTH / 2, -1.5 * WIDTH)):
            lanes.append(_straight(f"in-{q}-{k}", q, -REACH, -HALF, y))
            before = (f"in-{q}-{k}",)
            lanes.append(_straight(f"across-{q}-{k}", q, -HALF, HALF, y, intersection_id="cross", predecessor_ids=before))
            lanes.append(_straight(f"out-{q}-{k}", q, HALF, REACH, y))
        for side in (-1, 1):
            if walkways:
                outline = _turned([(-REACH, side * 7.3), (-10, side * 7.3), (-10, side * 10), (-REACH, side * 10)], q)
                areas.append(Area(area_id=f"walk-{q}-{side}", kind=AreaKind.WALKWAY, outline=outline))
        stop = _turned([(-HALF - 1.5, -7), (-HALF, -7), (-HALF, 0), (-HALF - 1.5, 0)], q)
        areas.append(Area(area_id=f"stop-{q}", kind=AreaKind.STOP_ZONE, outline=stop, lane_ids=(f"in-{q}-0", f"in-{q}-1")))
        zebra = _turned([(-11.5, -7), (-8.5, -7), (-8.5, 7), (-11.5, 7)], q)
        areas.append(Area(area_id=f"zebra-{q}", kind=AreaKind.CROSSWALK, outline=zebra))
        yellow = _turned([(-REACH, 0.1), (-HALF, 0.1)], q)
        lines.append(Line(line_id=f"middle-{q}", kind=LineKind.SOLID_YELLOW, points=yellow))
        dashes = _turned([(-REACH, -WIDTH), (-HALF, -WIDTH)], q)
        lines.append(Line(line_id=f"dash-{q}", kind=LineKind.DASHED_WHITE, points=dashes))
    square = _turned([(-HALF, -HALF), (HALF, -HALF), (HALF, HALF), (-HALF, HALF)], 0)
    areas.append(Area(area_id="cross", kind=AreaKind.INTERSECTION, outline=square))
    return VectorMap(lanes=tuple(lanes), areas=tuple(areas), lines=tuple(lines))


AGENTS = (
    # token, kind, x, y, heading, length, width, height
    ("car-ahead", AgentKind.VEHICLE, 14.0, 0.2, 0.0, 4.6, 1.9, 1.5),
    ("van-left", AgentKind.VEHICLE, 22.0, 3.6, 0.05, 4.9, 2.0, 1.9),
    ("bus", AgentKind.VEHICLE, 34.0, 13.0, 1.6, 11.5, 2.6, 3.2),
    ("truck", AgentKind.VEHICLE, 45.0, 7.0, np.pi, 8.5, 2.5, 3.4),
    ("walker", AgentKind.PEDESTRIAN, 14.5, -4.4, 1.5, 0.6, 0.6, 1.75),
    ("rider", AgentKind.BICYCLE, 8.5, 3.2, 0.0, 1.8, 0.7, 1.8),
    ("cone", AgentKind.TRAFFIC_CONE, 7.0, -3.0, 0.0, 0.4, 0.4, 0.75),
    ("barrier", AgentKind.BARRIER, 12.0, -5.8, 0.2, 2.0, 0.5, 0.95),
    ("sign", AgentKind.CZONE_SIGN, 11.0, 6.0, 3.1, 0.4, 0.7, 1.6),
    ("crate", AgentKind.GENERIC_OBJECT, 17.0, -6.0, 0.4, 1.2, 0.9, 1.0),
)


def agents(rows: tuple[tuple[object, ...], ...] = AGENTS) -> Agents:
    if not rows:
        return Agents.none()
    numbers = np.array([row[2:] for row in rows], dtype=float)
    return Agents(
        track_tokens=tuple(str(row[0]) for row in rows),
        kinds=tuple(row[1] for row in rows),  # type: ignore[misc]
        boxes=numbers[:, :5],
        vertical=np.stack([numbers[:, 5] / 2, numbers[:, 5]], axis=1),
        velocities=np.zeros((len(rows), 2)),
    )


def scene(
    rows: tuple[tuple[object, ...], ...] = AGENTS, *, light: LightState = LightState.RED, back: float = 38.0, token: str = "toy"
) -> Scene:
    """The ego drives east, ``back`` metres before the crossing's centre."""
    pose = to_world(np.array([-back, -WIDTH / 2, 0.0]), np.array([*ORIGIN, 0.0]))
    lights = tuple(TrafficLight(lane_id=f"across-{q}-{k}", state=light) for q in range(4) for k in range(2))
    state = EgoState(timestamp_us=1_000_000, pose=np.zeros(3), velocity=np.array([5.0, 0.0]), acceleration=np.zeros(2))
    return Scene(
        token=token,
        log_name="toy-log",
        location="toy-town",
        world_from_ego=pose,
        observation=Observation(ego_history=(state,)),
        agents=agents(rows),
        traffic_lights=lights,
    )
