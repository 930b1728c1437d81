"""Towns, candidates and scenes for tests of the benchmark: shipped drives under a benchmark town's name, and made-up scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.assets import LOGS
from diffdrive.benchmark.candidates import Candidate
from diffdrive.benchmark.drivers import DRIVERS
from diffdrive.benchmark.tags import Density, EventTag, Light, Manoeuvre, SceneTags
from diffdrive.configuration import to_mapping
from diffdrive.log123d.read import LogReader
from diffdrive.log123d.write import LogRecord, write_log
from diffdrive.log123d.write_map import write_map
from diffdrive.vehicle import PACIFICA
from diffdrive.world.generate import WorldConfig
from diffdrive.world.manifest import manifest_path, versions, write_manifest

FRAMES = 76
"""Enough for two scenes a second apart, with past and future."""


def candidate(number: int, *, location: str = "town6000", **changes: Any) -> Candidate:
    """Scene ``number`` of a town of its own log, every four seconds; ``changes`` name tags, and scores by driver."""
    scores = {"human": 0.95, "constant_velocity": 0.2, "constant_turn_rate": 0.2, "blind": 0.5, "pdm_closed": 0.9}
    tags = {"manoeuvre": Manoeuvre.CRUISE, "density": Density.NORMAL, "light": Light.CLEAR, "events": ()}
    log_name, timestamp_us = f"{location}-log{number // 5:02d}", 4_000_000 * (number % 5)
    return Candidate(
        token=f"{log_name}-{timestamp_us}",
        log_name=log_name,
        location=location,
        timestamp_us=timestamp_us,
        tags=SceneTags(**{name: changes.get(name, value) for name, value in tags.items()}),  # type: ignore[arg-type]
        scores={name: changes.get(name, scores[name]) for name in DRIVERS},
    )


def random_candidates(count: int, seed: int = 0) -> list[Candidate]:
    """Candidates as a generator makes them: many easy ones, some that the expert fails, tags of all kinds."""
    rng = np.random.default_rng([seed, 77])
    found = []
    for number in range(count):
        easy = rng.random()
        scores = {name: round(float(np.clip(easy + rng.normal(0, 0.3), 0, 1)), 3) for name in DRIVERS}
        scores["human"] = round(float(rng.uniform(0.6, 1.0)), 3)
        events = tuple(tag for tag in EventTag if rng.random() < 0.1)
        manoeuvre = rng.choice(np.array(list(Manoeuvre), dtype=object))
        density = rng.choice(np.array(list(Density), dtype=object))
        found.append(candidate(number, manoeuvre=manoeuvre, density=density, events=events, **scores))
    return found


def write_towns(root: Path, *, towns: tuple[int, ...] = (6000, 6001), split: str = "test") -> Path:
    """A data root with one short drive in each town: shipped ones under other names, with the manifests of towns."""
    sources = sorted((LOGS / "logs" / "drivetown_test").iterdir())
    for seed, folder in zip(towns, sources[:: len(sources) // len(towns)], strict=False):
        log = LogReader(folder, LOGS)
        location = f"town{seed:04d}"
        record = renamed(log, f"{location}-log00", location, split)
        lights = {light.lane_id for now in record.traffic_lights for light in now}
        write_map(log.vector_map(), root, dataset="drivetown", location=location, signalised_lanes=lights)
        write_log(record, root)
        write_town_manifest(root, seed, split=split)
    return root


def renamed(log: LogReader, name: str, location: str, split: str) -> LogRecord:
    """The first frames of a log as another one."""
    egos = [log.ego(k) for k in range(FRAMES)]
    poses = np.array([ego.pose for ego in egos])
    return LogRecord(
        dataset="drivetown",
        split=split,
        name=name,
        location=location,
        timestamps_us=log.timestamps_us[:FRAMES],
        poses=poses,
        velocities=np.array([ego.velocity for ego in egos]),
        accelerations=np.array([ego.acceleration for ego in egos]),
        yaw_rates=np.gradient(np.unwrap(poses[:, 2]), 0.1),
        vehicle=PACIFICA,
        agents=tuple(log.agents(k) for k in range(FRAMES)),
        traffic_lights=tuple(log.traffic_lights(k) for k in range(FRAMES)),
        route=log.provided_route,
    )


def write_town_manifest(root: Path, seed: int, *, split: str = "test", **changes: Any) -> None:
    """What ``world generate`` leaves beside a town, as far as the benchmark reads it."""
    location = f"town{seed:04d}"
    values = {
        "seed": seed,
        "split": split,
        "location": location,
        "config": to_mapping(WorldConfig()),
        "logs": [f"{location}-log00"],
        "events": {},
        "content": f"content of {seed}",
        "versions": versions(),
    }
    write_manifest(manifest_path(root, location), values | changes)


def change_json(path: Path, **changes: Any) -> None:
    """Change the top-level values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def moved(one: Candidate, *, log_name: str, timestamp_us: int) -> Candidate:
    """The same scene at another time of another log."""
    return replace(one, token=f"{log_name}-{timestamp_us}", log_name=log_name, timestamp_us=timestamp_us)
