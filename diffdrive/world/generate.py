"""A seed becomes a town, an hour of nobody's life in it, and a handful of 123D logs: the whole recipe, step by step.

generate_town(seed, WorldConfig(), root, split="train") -> manifest
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, wrap_angle
from diffdrive.log123d.write import SPLITS, LogRecord, write_log
from diffdrive.log123d.write_map import map_file, write_map
from diffdrive.scene import Agents, TrafficLight
from diffdrive.vehicle import PACIFICA
from diffdrive.world.curation import CurationConfig, Window, choose_windows
from diffdrive.world.manifest import manifest_path, read_manifest, versions, write_manifest
from diffdrive.world.roads import RoadNetwork, TownConfig, build_network, lay_out, plan_route, read_network
from diffdrive.world.traffic import Recording, Track, TrafficConfig, record
from diffdrive.world.traffic.clearing import without_blockers
from diffdrive.world.traffic.demand import OCCUPANCY_FACTORS, demand_level
from diffdrive.world.traffic.events import EventConfig
from diffdrive.world.traffic.recording import INTERVAL_S
from diffdrive.world.traffic.standing import parked_cars

DATASET = "drivetown"
STEP_US = round(INTERVAL_S * 1e6)
ROUTE_BEHIND_M = 10.0
ROUTE_BEYOND_M = 80.0
TOP_SPEED = 20.0
"""No vehicle is faster, m/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """Everything that shapes a data set of the embedded world, beside the seeds."""

    town: TownConfig = field(default_factory=TownConfig)
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    events: EventConfig = field(default_factory=EventConfig)
    curation: CurationConfig = field(default_factory=CurationConfig)
    box_radius_m: float = 110.0
    """Agents and lights farther from the ego than this are not annotated."""

    sensors: bool = False
    """Whether the logs hold images and sweeps (about 25 times the space, 15 times the time); they can be rendered later."""

    compression_level: int = 3
    """zstd, 1 (fast) to 19 (small)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town and what happened in it."""

    seed: int
    network: RoadNetwork
    recording: Recording
    parked: tuple[Track, ...]
    windows: tuple[Window, ...]


def location_of(seed: int) -> str:
    """Name of the town of a seed."""
    return f"town{seed:04d}"


def simulate_town(seed: int, config: WorldConfig) -> Town:
    """Roads, traffic and the choice of windows. The same seed and configuration give the same town.

    Raises ``InputError`` where SUMO is missing or no window is good enough.
    """
    if seed < 0:
        raise InputError(f"A town's seed must not be negative, got {seed}.")
    with tempfile.TemporaryDirectory(prefix=f"{location_of(seed)}-") as folder:
        network_file = build_network(lay_out(seed, config.town), Path(folder))
        network = read_network(network_file)
        recording = record(network, network_file, seed, config.traffic, config.events)
    occupancy = min(0.95, config.town.parking_occupancy * OCCUPANCY_FACTORS[demand_level(seed, config.traffic)])
    parked = without_blockers(parked_cars(network, seed, occupancy, recording.steps), recording.tracks)
    first_step = round(config.traffic.warm_up_s / INTERVAL_S)
    windows = choose_windows(recording, parked, network.vector_map, config.curation, first_step)
    if not windows:
        raise InputError(f"{location_of(seed)} has no drive that meets the rules of curation. Relax them or take another seed.")
    return Town(seed=seed, network=network, recording=recording, parked=parked, windows=windows)


def generate_town(seed: int, config: WorldConfig, root: Path, *, split: str) -> dict[str, Any]:
    """Write the map, the logs and, last, the manifest of one town below the data root; return the manifest.

    A town that is complete already, from the same configuration, is left alone. Raises ``InputError`` where the same town is
    there from another configuration or as another split, or where parts of it are in the way.
    """
    if split not in SPLITS:
        raise InputError(f"A split is one of {', '.join(SPLITS)}, got '{split}'.")
    location = location_of(seed)
    path = manifest_path(root, location)
    if path.exists():
        return _same_town(path, seed, config, split)
    started = time.perf_counter()
    town = simulate_town(seed, config)
    records = [_log_record(town, number, config, split) for number in range(len(town.windows))]
    _clear_leftovers(root, location, split)
    write_map(
        town.network.vector_map,
        root,
        dataset=DATASET,
        location=location,
        signalised_lanes=town.network.signals.keys(),
        compression_level=config.compression_level,
    )
    for log in _seen(records, town, config):
        write_log(log, root, compression_level=config.compression_level)
    counts = Counter(name.value for window in town.windows for name in window.manoeuvres)
    values = {
        "seed": seed,
        "split": split,
        "config": to_mapping(config),
        "location": location,
        "logs": [log.name for log in records],
        "frames": sum(len(log.poses) for log in records),
        "boxes_per_frame": round(float(np.mean([len(a) for log in records for a in log.agents])), 1),
        "manoeuvres": dict(sorted(counts.items())),
        "collisions_in_simulation": len({token for _, token in town.recording.collisions}),
        "seconds": round(time.perf_counter() - started, 1),
        "versions": versions(),
    }
    write_manifest(path, values)
    return values


def generate_world(
    seeds: Sequence[int], config: WorldConfig, root: Path, *, split: str, workers: int = 1
) -> list[dict[str, Any]]:
    """Every town of ``seeds``, ``workers`` at a time in processes of their own. Manifests come back in the order of seeds."""
    if workers <= 1:
        return [generate_town(seed, config, root, split=split) for seed in seeds]
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(generate_town, seed, config, root, split=split) for seed in seeds]
        return [job.result() for job in jobs]


def _same_town(path: Path, seed: int, config: WorldConfig, split: str) -> dict[str, Any]:
    found = read_manifest(path)
    # Built, not compared as text: what an older manifest does not mention had today's default.
    given = {"seed": seed, "split": split, "config": config}
    for name, value in given.items():
        there = build(WorldConfig, found.get(name)) if name == "config" else found.get(name)
        if there != value:
            raise InputError(
                f"'{path}' says that this town was made with another {name}. Write to another folder, or remove this one."
            )
    return found


def _clear_leftovers(root: Path, location: str, split: str) -> None:
    """What an interrupted run left of this town: without its manifest it is not complete, so it is made again."""
    map_file(root, DATASET, location).unlink(missing_ok=True)
    for folder in (root / "logs" / f"{DATASET}_{split}").glob(f"{location}-*"):
        shutil.rmtree(folder)


def _seen(records: list[LogRecord], town: Town, config: WorldConfig) -> Iterator[LogRecord]:
    """The records, with sensors where asked for; one at a time, because sweeps are large."""
    if not config.sensors:
        yield from records
        return
    from diffdrive.world.record_sensors import Studio, open_town, with_sensors

    studio, surroundings = Studio(), open_town(location_of(town.seed), town.network.vector_map)
    for log in records:
        yield with_sensors(log, studio, surroundings)


def _log_record(town: Town, number: int, config: WorldConfig, split: str) -> LogRecord:
    window = town.windows[number]
    first, last = window.first_step, window.last_step
    rows = slice(first - window.track.first_step, last + 1 - window.track.first_step)
    motion = window.motion
    poses = motion.poses[rows].copy()
    poses[:, 2] = wrap_angle(poses[:, 2])
    return LogRecord(
        dataset=DATASET,
        split=split,
        name=f"{location_of(town.seed)}-log{number:02d}",
        location=location_of(town.seed),
        timestamps_us=np.arange(first, last + 1) * STEP_US,
        poses=poses,
        velocities=motion.velocities[rows],
        accelerations=motion.accelerations[rows],
        yaw_rates=motion.yaw_rates[rows],
        vehicle=PACIFICA,
        agents=_agents(town, window, poses, config.box_radius_m),
        traffic_lights=_lights(town, window, poses, config.box_radius_m),
        route=_route(town, window, poses),
    )


def _agents(town: Town, window: Window, ego: np.ndarray, radius_m: float) -> tuple[Agents, ...]:
    """Everybody but the ego, near it, at each frame, in the world frame."""
    frames: list[list[tuple[Track, np.ndarray, np.ndarray]]] = [[] for _ in ego]
    for track in (*town.recording.tracks, *town.parked):
        start, end = max(window.first_step, track.first_step), min(window.last_step, track.last_step)
        if track.token == window.track.token or end < start:
            continue
        velocity = np.gradient(track.poses[:, :2], INTERVAL_S, axis=0)[start - track.first_step : end + 1 - track.first_step]
        poses = track.rows(start, end)
        near = np.hypot(*(poses[:, :2] - ego[start - window.first_step : end + 1 - window.first_step, :2]).T) <= radius_m
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


def _lights(town: Town, window: Window, ego: np.ndarray, radius_m: float) -> tuple[tuple[TrafficLight, ...], ...]:
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


def _route(town: Town, window: Window, ego: np.ndarray) -> np.ndarray:
    """The navigation route of the trip, from just behind the car at the start of the log."""
    edge_of = {lane: approach.edge_id for approach in town.network.approaches.values() for lane in approach.lane_ids}
    lanes = {lane.lane_id: lane for lane in town.network.vector_map.lanes}
    lane = window.track.lane_ids[window.first_step - window.track.first_step]
    # Inside a junction the route is planned from the street before it.
    start = lane if lane in edge_of else lanes[lane].predecessor_ids[0]
    driven = [edge_of.get(lane, "") for lane in window.track.lane_ids[: window.first_step + 1 - window.track.first_step]]
    edges = _rest_of_trip(window.track.edge_ids, [*driven, edge_of[start]])
    line = plan_route(town.network, edges, start, beyond_m=ROUTE_BEYOND_M)
    here = Polyline(line[:300]).project(ego[0, :2])[0]
    whole = Polyline(line)
    # As far as one could get at any speed limit, and no farther: the length says nothing about what was driven.
    end = here + (window.last_step - window.first_step) * INTERVAL_S * TOP_SPEED + ROUTE_BEYOND_M
    return whole.interpolate(np.arange(max(0.0, here - ROUTE_BEHIND_M), min(end, whole.length), 1.0))[:, :2]


def _rest_of_trip(edge_ids: Sequence[str], driven: Iterable[str]) -> list[str]:
    """The planned streets from the one reached on. A trip may use a street twice, so the drive so far is followed."""
    reached = 0
    for edge in driven:
        if edge and edge != edge_ids[reached]:
            reached = edge_ids.index(edge, reached + 1)
    return list(edge_ids[reached:])
