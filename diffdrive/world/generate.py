"""Towns become 123D logs on disk, one after the other or several at a time; what went wrong is told, and the rest goes on.

generate_town(seed, WorldConfig(), root, split="train") -> manifest
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.log123d.write import SPLITS, LogRecord, write_log
from diffdrive.log123d.write_map import map_file, write_map
from diffdrive.world.contents import content_hash
from diffdrive.world.manifest import manifest_path, read_manifest, versions, write_manifest
from diffdrive.world.records import DATASET, log_events, log_record
from diffdrive.world.simulation import SimulatedTown, StageClock, WorldConfig, location_of, simulate_town
from diffdrive.world.traffic.demand import demand_level

__all__ = ["TownReport", "WorldConfig", "generate_town", "generate_world", "location_of", "simulate_town"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TownReport:
    """What became of one town of many."""

    seed: int
    manifest: dict[str, Any] | None = None
    error: str = ""
    """Why there is no manifest."""


def generate_town(seed: int, config: WorldConfig, root: Path, *, split: str) -> dict[str, Any]:
    """Write the map, the logs and, last, the manifest of one town below the data root; return the manifest.

    A town that is complete already, from the same configuration, is left alone. Raises ``InputError`` where the same town is
    there from another configuration or as another split, or where parts of it are in the way.
    """
    _check_split(split)
    location = location_of(seed)
    path = manifest_path(root, location)
    if path.exists():
        return _same_town(path, seed, config, split)
    clock = StageClock()
    town = simulate_town(seed, config, clock)
    records = [log_record(town, k, split=split, radius_m=config.box_radius_m) for k in range(len(town.windows))]
    content = content_hash(town.network.vector_map, records)
    clock.lap("records")
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
    clock.lap("writing")
    values = _described(town, records, config) | {"split": split, "content": content}
    values["stage_seconds"] = clock.seconds
    values["seconds"] = round(sum(clock.seconds.values()), 1)
    write_manifest(path, values)
    return values


def generate_world(
    seeds: Sequence[int],
    config: WorldConfig,
    root: Path,
    *,
    split: str,
    workers: int = 1,
    tell: Callable[[TownReport], None] | None = None,
) -> tuple[TownReport, ...]:
    """Every town of ``seeds``, ``workers`` at a time in processes of their own; reports come back in the order of seeds.

    A town that fails does not stop the others: its report says why. ``tell`` hears of each town when it is done. Towns that
    are complete are left alone, so a run that was stopped is continued by asking again. Raises ``InputError`` for a wrong
    split.
    """
    _check_split(split)
    reports: dict[int, TownReport] = {}
    for report in _made(seeds, config, root, split, workers):
        reports[report.seed] = report
        if tell is not None:
            tell(report)
    return tuple(reports[seed] for seed in seeds)


def _made(seeds: Sequence[int], config: WorldConfig, root: Path, split: str, workers: int) -> Iterator[TownReport]:
    if workers <= 1:
        yield from (_try_town(seed, config, root, split) for seed in seeds)
        return
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        jobs: dict[Future[TownReport], int] = {pool.submit(_try_town, seed, config, root, split): seed for seed in seeds}
        for job in as_completed(jobs):
            error = job.exception()
            # A worker that dies takes the pool with it; the towns that are done stay.
            yield TownReport(seed=jobs[job], error=f"{type(error).__name__}: {error}") if error else job.result()


def _try_town(seed: int, config: WorldConfig, root: Path, split: str) -> TownReport:
    try:
        return TownReport(seed=seed, manifest=generate_town(seed, config, root, split=split))
    except InputError as error:
        return TownReport(seed=seed, error=str(error))
    except Exception as error:
        # One town in a thousand may find a mistake in this generator: it must not cost the others.
        return TownReport(seed=seed, error=f"{type(error).__name__}: {error}")


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise InputError(f"A split is one of {', '.join(SPLITS)}, got '{split}'.")


def _described(town: SimulatedTown, records: Sequence[LogRecord], config: WorldConfig) -> dict[str, Any]:
    """What the manifest says about the drives of a town."""
    manoeuvres = Counter(name.value for window in town.windows for name in window.manoeuvres)
    events = {log.name: log_events(town, k) for k, log in enumerate(records)}
    near = [
        np.hypot(*(a.boxes[:, :2] - pose[:2]).T) < 64.0
        for log in records
        for a, pose in zip(log.agents, log.poses, strict=True)
    ]
    return {
        "seed": town.seed,
        "config": to_mapping(config),
        "location": town.location,
        "demand": demand_level(town.seed, config.traffic).value,
        "logs": [log.name for log in records],
        "frames": sum(len(log.poses) for log in records),
        "boxes_per_frame": round(float(np.mean([len(a) for log in records for a in log.agents])), 1),
        "boxes_within_64_m": round(float(np.mean([inside.sum() for inside in near])), 1),
        "manoeuvres": dict(sorted(manoeuvres.items())),
        "events": {name: told for name, told in events.items() if told},
        "collisions_in_simulation": len({token for _, token in town.recording.collisions}),
        "versions": versions(),
    }


def _same_town(path: Path, seed: int, config: WorldConfig, split: str) -> dict[str, Any]:
    found = read_manifest(path)
    given = {"seed": seed, "split": split, "config": config}
    for name, value in given.items():
        there = _config_of(found) if name == "config" else found.get(name)
        if there != value:
            raise InputError(
                f"'{path}' says that this town was made with another {name}. Write to another folder, or remove this one."
            )
    return found


def _config_of(manifest: dict[str, Any]) -> WorldConfig | None:
    """Built, not compared as text: what an older manifest does not mention had today's default."""
    try:
        return build(WorldConfig, manifest.get("config"))
    except InputError:
        return None


def _clear_leftovers(root: Path, location: str, split: str) -> None:
    """What an interrupted run left of this town: without its manifest it is not complete, so it is made again."""
    map_file(root, DATASET, location).unlink(missing_ok=True)
    for pattern in (f"{location}-*", f".{location}-*"):
        for folder in (root / "logs" / f"{DATASET}_{split}").glob(pattern):
            shutil.rmtree(folder)


def _seen(records: list[LogRecord], town: SimulatedTown, config: WorldConfig) -> Iterator[LogRecord]:
    """The records, with sensors where asked for; one at a time, because sweeps are large."""
    if not config.sensors:
        yield from records
        return
    from diffdrive.world.record_sensors import Studio, open_town, with_sensors

    studio, surroundings = Studio(), open_town(town.location, town.network.vector_map)
    for log in records:
        yield with_sensors(log, studio, surroundings)
