"""A window of a simulated town becomes a log: who was near the ego, which lights it saw, where it meant to go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.log123d.write import LogRecord
from diffdrive.scene import Agents, TrafficLight
from diffdrive.vehicle import PACIFICA
from diffdrive.world.curation import Window, steps_in_reach
from diffdrive.world.roads import plan_route
from diffdrive.world.simulation import SimulatedTown
from diffdrive.world.traffic import Track
from diffdrive.world.traffic.recording import INTERVAL_S

DATASET = "drivetown"
STEP_US = round(INTERVAL_S * 1e6)
ROUTE_BEHIND_M = 10.0
ROUTE_BEYOND_M = 80.0
TOP_SPEED = 25.0
"""No vehicle is faster, m/s."""


def log_record(town: SimulatedTown, number: int, *, split: str, radius_m: float) -> LogRecord:
    """Window ``number`` of the town as a log, with everybody within ``radius_m`` of its ego."""
    window = town.windows[number]
    first, last = window.first_step, window.last_step
    rows = slice(first - window.track.first_step, last + 1 - window.track.first_step)
    motion = window.motion
    poses = motion.poses[rows].copy()
    poses[:, 2] = wrap_angle(poses[:, 2])
    return LogRecord(
        dataset=DATASET,
        split=split,
        name=f"{town.location}-log{number:02d}",
        location=town.location,
        timestamps_us=np.arange(first, last + 1) * STEP_US,
        poses=poses,
        velocities=motion.velocities[rows],
        accelerations=motion.accelerations[rows],
        yaw_rates=motion.yaw_rates[rows],
        vehicle=PACIFICA,
        agents=_agents(town, window, poses, radius_m),
        traffic_lights=_lights(town, window, poses, radius_m),
        route=_route(town, window, poses),
    )


def log_events(town: SimulatedTown, number: int) -> list[dict[str, Any]]:
    """What happened by script within reach of the ego during window ``number``, from when to when it was within reach."""
    window = town.windows[number]
    tracks = {track.token: track for track in town.recording.tracks}
    told = []
    for event in town.recording.events:
        steps = steps_in_reach(event, window, tracks)
        if len(steps):
            told.append(
                {
                    "kind": event.kind.value,
                    "tokens": list(event.tokens),
                    "first_us": int(steps[0]) * STEP_US,
                    "last_us": int(steps[-1]) * STEP_US,
                }
            )
    return told


def _agents(town: SimulatedTown, window: Window, ego: np.ndarray, radius_m: float) -> tuple[Agents, ...]:
    """Everybody but the ego, near it, at each frame, in the world frame."""
    frames: list[list[tuple[Track, np.ndarray, np.ndarray]]] = [[] for _ in ego]
    for track in (*town.recording.tracks, *town.parked):
        start, end = max(window.first_step, track.first_step), min(window.last_step, track.last_step)
        if track.token == window.track.token or end < start:
            continue
        poses = track.rows(start, end)
        near = np.hypot(*(poses[:, :2] - ego[start - window.first_step : end + 1 - window.first_step, :2]).T) <= radius_m
        if not near.any():
            continue
        velocity = np.gradient(track.poses[:, :2], INTERVAL_S, axis=0)[start - track.first_step : end + 1 - track.first_step]
        for k in np.flatnonzero(near):
            frames[start - window.first_step + int(k)].append((track, poses[k], velocity[k]))
    return tuple(_at_one_instant(present) for present in frames)


def _at_one_instant(present: list[tuple[Track, np.ndarray, np.ndarray]]) -> Agents:
    if not present:
        return Agents.none()
    heights = np.array([track.size[2] for track, _, _ in present])
    poses = _rounded(np.array([pose for _, pose, _ in present]))
    return Agents(
        track_tokens=tuple(track.token for track, _, _ in present),
        kinds=tuple(track.kind for track, _, _ in present),
        boxes=np.column_stack([poses[:, :2], wrap_angle(poses[:, 2]), [track.size[:2] for track, _, _ in present]]),
        vertical=np.column_stack([heights / 2, heights]),
        velocities=_rounded(np.array([velocity for _, _, velocity in present])),
    )


def _rounded(values: np.ndarray) -> np.ndarray:
    """To 1 / 1024, about a millimetre: finer than anybody can tell, and the zeros behind it compress well."""
    return np.round(values * 1024.0) / 1024.0


def _lights(town: SimulatedTown, window: Window, ego: np.ndarray, radius_m: float) -> tuple[tuple[TrafficLight, ...], ...]:
    starts = {
        lane.lane_id: lane.centerline[0] for lane in town.network.vector_map.lanes if lane.lane_id in town.network.signals
    }
    names = list(starts)
    if not names:
        return tuple(() for _ in ego)
    places = np.array([starts[name] for name in names])
    frames = []
    for k, pose in enumerate(ego):
        near = {names[i] for i in np.flatnonzero(np.hypot(*(places - pose[:2]).T) <= radius_m)}
        frames.append(tuple(light for light in town.recording.lights[window.first_step + k] if light.lane_id in near))
    return tuple(frames)


def _route(town: SimulatedTown, window: Window, ego: np.ndarray) -> np.ndarray:
    """The navigation route of the trip, from just behind the car at the start of the log."""
    edge_of = {lane: approach.edge_id for approach in town.network.approaches.values() for lane in approach.lane_ids}
    lanes = {lane.lane_id: lane for lane in town.network.vector_map.lanes}
    lane = window.track.lane_ids[window.first_step - window.track.first_step]
    # Inside a junction the route is planned from the street before it.
    start = lane if lane in edge_of else lanes[lane].predecessor_ids[0]
    driven = [edge_of.get(lane, "") for lane in window.track.lane_ids[: window.first_step + 1 - window.track.first_step]]
    # As far as one could get at any speed limit, and no farther: the length says nothing about what was driven.
    needed = (window.last_step - window.first_step) * INTERVAL_S * TOP_SPEED + ROUTE_BEYOND_M
    edges = rest_of_trip(window.track.edge_ids, [*driven, edge_of[start]])
    lengths = np.cumsum([town.network.approaches[edge].length for edge in edges])
    edges = edges[: int(np.searchsorted(lengths, needed + lengths[0])) + 1]
    line = plan_route(town.network, edges, start, beyond_m=ROUTE_BEYOND_M)
    here = Polyline(line[:300]).project(ego[0, :2])[0]
    whole = Polyline(line)
    end = min(here + needed, whole.length)
    return whole.interpolate(np.arange(max(0.0, here - ROUTE_BEHIND_M), end, 1.0))[:, :2]


def rest_of_trip(edge_ids: Sequence[str], driven: Iterable[str]) -> list[str]:
    """The planned streets from the one reached on. A trip may use a street twice, so the drive so far is followed."""
    reached = 0
    for edge in driven:
        if edge and edge != edge_ids[reached]:
            reached = edge_ids.index(edge, reached + 1)
    return list(edge_ids[reached:])
