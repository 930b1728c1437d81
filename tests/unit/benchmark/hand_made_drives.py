"""Scenes drawn by hand: a straight street, a drive along it, and whoever is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffdrive.geometry import Polyline
from diffdrive.scene import (
    AgentKind,
    Agents,
    EgoState,
    Future,
    Lane,
    LightState,
    Observation,
    Scene,
    TrafficLight,
    Trajectory,
    VectorMap,
)

FRAMES = 11
"""t = 0, 0.5, ... 5 s."""

START_US = 20_000_000
Box = tuple[str, AgentKind, np.ndarray, np.ndarray]
"""Token, kind, centre [2] and velocity [2] at one frame, in the frame of the ego at t = 0."""


def straight(lane_id: str, y: float, *, begin: float = -50.0, end: float = 150.0, **links: object) -> Lane:
    """A lane along x, 3.5 m wide, driven towards +x."""
    return curved(lane_id, np.array([[begin, y], [(begin + end) / 2, y], [end, y]]), **links)


def curved(lane_id: str, centerline: np.ndarray, **links: object) -> Lane:
    """A lane along any line."""
    heading = Polyline(centerline).interpolate(Polyline(centerline).arc)[:, 2]
    side = 1.75 * np.column_stack([-np.sin(heading), np.cos(heading)])
    values: dict = {"left_boundary": centerline + side, "right_boundary": centerline - side, **links}
    return Lane(lane_id=lane_id, centerline=centerline, **values)


TWO_LANES = VectorMap(
    lanes=(
        straight("1", 0.0, left_lane_id="2", successor_ids=("beyond the map",)),
        straight("2", 3.5, right_lane_id="1", successor_ids=("beyond it, too",)),
    )
)
ONE_LANE = VectorMap(lanes=(straight("1", 0.0),))


def along(line: np.ndarray, speeds: Sequence[float]) -> np.ndarray:
    """[FRAMES, 3] poses along a line, at these speeds over the half seconds."""
    arc = np.concatenate([[0.0], np.cumsum(np.asarray(speeds) * 0.5)])
    return Polyline(line).interpolate(arc)


def steady(speed: float) -> np.ndarray:
    """[FRAMES, 3] straight on."""
    return along(np.array([[0.0, 0.0], [200.0, 0.0]]), [speed] * (FRAMES - 1))


def walker(places: Sequence[tuple[float, float]], velocity: tuple[float, float] = (0.0, 1.4)) -> list[Box]:
    """A pedestrian, one place a frame."""
    return [("walker", AgentKind.PEDESTRIAN, np.array(place), np.array(velocity)) for place in places]


def car(places: Sequence[tuple[float, float]], velocity: tuple[float, float], token: str = "car") -> list[Box]:
    """A car, one place a frame."""
    return [(token, AgentKind.VEHICLE, np.array(place), np.array(velocity)) for place in places]


def scene(
    poses: np.ndarray,
    *,
    vector_map: VectorMap = ONE_LANE,
    boxes: Sequence[Sequence[Box]] = (),
    light: tuple[str, Sequence[LightState]] | None = None,
    log_name: str = "town6000-log00",
    speed: float | None = None,
) -> Scene:
    """The drive ``poses`` [FRAMES, 3] with the road users of ``boxes`` (each one box a frame) and at most one signal."""
    frames = [_agents([track[k] for track in boxes]) for k in range(FRAMES)]
    states: list[tuple[TrafficLight, ...]] = [()] * FRAMES
    if light is not None:
        states = [(TrafficLight(lane_id=light[0], state=state),) for state in light[1]]
    begin = float(np.hypot(*(poses[1, :2] - poses[0, :2])) / 0.5) if speed is None else speed
    return Scene(
        token=f"{log_name}-{START_US}",
        log_name=log_name,
        location=log_name.partition("-")[0],
        world_from_ego=np.array([100.0, 50.0, 0.7]),
        observation=Observation(
            ego_history=tuple(
                EgoState(
                    timestamp_us=START_US + at,
                    pose=np.array([begin * at * 1e-6, 0.0, 0.0]),
                    velocity=np.array([begin, 0.0]),
                    acceleration=np.zeros(2),
                )
                for at in (-500_000, 0)
            )
        ),
        agents=frames[0],
        vector_map=vector_map,
        traffic_lights=states[0],
        future=Future(ego=Trajectory(poses[1:]), agents=tuple(frames[1:]), traffic_lights=tuple(states[1:]) if light else ()),
    )


def _agents(boxes: Sequence[Box]) -> Agents:
    if not boxes:
        return Agents.none()
    sizes = {AgentKind.VEHICLE: (4.6, 1.9, 1.6), AgentKind.PEDESTRIAN: (0.6, 0.6, 1.7)}
    rows = []
    for _, kind, center, velocity in boxes:
        heading = np.arctan2(velocity[1], velocity[0])
        rows.append([*center, heading, *sizes[kind][:2]])
    heights = np.array([sizes[kind][2] for _, kind, _, _ in boxes])
    return Agents(
        track_tokens=tuple(token for token, _, _, _ in boxes),
        kinds=tuple(kind for _, kind, _, _ in boxes),
        boxes=np.array(rows),
        vertical=np.column_stack([heights / 2, heights]),
        velocities=np.array([velocity for _, _, _, velocity in boxes]),
    )
