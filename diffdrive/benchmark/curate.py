"""Make a split from generated towns: judge every scene in a pool of processes, choose, write down what was chosen and why.

Judged towns are kept beside the data, so a run that was ended goes on, and other rules of choice cost seconds.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from diffdrive.benchmark import candidates as judge_module
from diffdrive.benchmark import drivers, tags
from diffdrive.benchmark.candidates import Candidate, judge_town, open_logs
from diffdrive.benchmark.choice import choose
from diffdrive.benchmark.config import BenchmarkConfig, Split
from diffdrive.benchmark.manifest import Benchmark, BenchmarkScene
from diffdrive.benchmark.tags import Density, EventTag, Light, Manoeuvre, SceneTags
from diffdrive.configuration import build
from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.digest import code_digest
from diffdrive.files import written_aside
from diffdrive.sources import Arrow123dSource
from diffdrive.world.fingerprint import code_of
from diffdrive.world.generate import WorldConfig
from diffdrive.world.manifest import read_manifest

_log = logging.getLogger(__name__)
KEPT_IN = "candidates"
"""Folder below the data root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TownProgress:
    """How far curating is."""

    num_towns: int
    num_done: int
    num_kept: int
    """Of those done, how many an earlier run had judged."""

    num_scenes: int


def curate(
    root: Path,
    split: Split,
    config: BenchmarkConfig,
    *,
    workers: int = 1,
    on_progress: Callable[[TownProgress], None] | None = None,
) -> Benchmark:
    """The benchmark of the towns of ``split`` that lie below the data root.

    Raises ``InputError`` where there are none, where they come from different recipes or are not from this version's
    generator's configuration, and where a worker dies (run it again: what was judged is kept).
    """
    towns = towns_of(root, split)
    found = judge_towns(root, towns, config.stride_s, workers=workers, on_progress=on_progress)
    everything = [candidate for location in sorted(found) for candidate in found[location]]
    choice = choose(everything, split, config)
    return Benchmark(
        split=split.name,
        generator=_same(towns, "generator", lambda town: town["versions"].get("generator")),
        sumo=_same(towns, "SUMO version", lambda town: town["versions"]["libsumo"]),
        world=build(WorldConfig, _same(towns, "config", lambda town: town["config"])),
        rules=config,
        towns={int(town["seed"]): str(town["content"]) for town in towns},
        scenes=tuple(_scene(candidate) for candidate in choice.scenes),
        num_candidates=len(everything),
        dropped=choice.dropped,
    )


def towns_of(root: Path, split: Split) -> list[dict[str, Any]]:
    """Manifests of the complete towns below ``root`` whose seeds belong to ``split``, in the order of seeds.

    Raises ``InputError`` where there are none, and for a manifest without a content hash.
    """
    found = [read_manifest(path) for path in sorted((root / "manifests").glob("*.json"))]
    towns = sorted((t for t in found if split.first_seed <= t["seed"] <= split.last_seed), key=lambda town: int(town["seed"]))
    if not towns:
        raise InputError(
            f"'{root}' has no complete town of split '{split.name}' (seeds {split.first_seed} to {split.last_seed}). "
            f"Make some: diffdrive world generate --out {root} --split {split.folder} --seed {split.first_seed} --towns 30"
        )
    for town in towns:
        if town["split"] != split.folder:
            raise InputError(
                f"Town {town['seed']} was generated as '{town['split']}'; split '{split.name}' needs '{split.folder}'."
            )
        if not town.get("content"):
            raise InputError(f"The manifest of town {town['seed']} has no content hash. Generate it again with this version.")
    return towns


def judge_towns(
    root: Path,
    towns: Sequence[Mapping[str, Any]],
    stride_s: float,
    *,
    workers: int = 1,
    on_progress: Callable[[TownProgress], None] | None = None,
) -> dict[str, tuple[Candidate, ...]]:
    """Every scene of every town, judged, by the town's name. What an earlier run judged by the same rules is read back."""
    found: dict[str, tuple[Candidate, ...]] = {}
    for town in towns:
        if (kept := _kept(root, town, stride_s)) is not None:
            found[town["location"]] = kept
    num_kept = len(found)

    def tell() -> None:
        if on_progress is not None:
            scenes = sum(len(own) for own in found.values())
            on_progress(TownProgress(num_towns=len(towns), num_done=len(found), num_kept=num_kept, num_scenes=scenes))

    tell()
    missing = [town for town in towns if town["location"] not in found]
    if not missing:
        return found
    # Opened once: it travels to the workers, which open the logs themselves.
    source = open_logs(root, [name for town in missing for name in town["logs"]], stride_s=stride_s)
    if workers <= 1:
        for town in missing:
            found[town["location"]] = _judge_and_keep(source, town)
            tell()
        return found
    # Spawned, not forked: torch's threads do not survive a fork.
    with ProcessPoolExecutor(max_workers=min(workers, len(missing)), mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(_judge_and_keep, source, town): town for town in missing}
        try:
            for job in as_completed(jobs):
                found[jobs[job]["location"]] = job.result()
                tell()
        except BrokenProcessPool as error:
            raise InputError(f"A worker died, perhaps for want of memory: {error} Run it again, with fewer workers.") from error
    return found


def _judge_and_keep(source: Arrow123dSource, town: Mapping[str, Any]) -> tuple[Candidate, ...]:
    found = judge_town(source, town)
    values = {"key": _key(town, source.window.stride_s), "candidates": [_packed(candidate) for candidate in found]}
    with written_aside(_path(source.root, town)) as aside:
        aside.write_text(json.dumps(values))
    return found


def _kept(root: Path, town: Mapping[str, Any], stride_s: float) -> tuple[Candidate, ...] | None:
    path = _path(root, town)
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text())
        if values["key"] != _key(town, stride_s):
            _log.info("Judging %s again: it was judged by other rules.", town["location"])
            return None
        return tuple(_unpacked(row) for row in values["candidates"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("Judging %s again, '%s' is damaged: %r", town["location"], path, error)
        return None


def _path(root: Path, town: Mapping[str, Any]) -> Path:
    return root / KEPT_IN / f"{town['location']}.json"


def _key(town: Mapping[str, Any], stride_s: float) -> dict[str, Any]:
    """What the judgement of a town depends on."""
    events = hashlib.sha256(json.dumps(town.get("events", {}), sort_keys=True).encode()).hexdigest()[:12]
    return {
        "content": town["content"],
        "events": events,
        "stride_s": stride_s,
        "scoring": code_digest(),
        "judging": _judging_digest(),
    }


def _judging_digest() -> str:
    files = [Path(str(drivers.__file__)), Path(str(judge_module.__file__)), *sorted(Path(tags.__path__[0]).glob("*.py"))]
    return hashlib.sha256("\0".join(code_of(file.read_text()) for file in files).encode()).hexdigest()[:12]


def _packed(candidate: Candidate) -> dict[str, Any]:
    place = {name: getattr(candidate, name) for name in ("token", "log_name", "location", "timestamp_us", "error")}
    if candidate.tags is None or candidate.scores is None:
        return place
    own = candidate.tags
    words = [own.manoeuvre.value, own.density.value, own.light.value, [event.value for event in own.events]]
    return place | {"tags": words, "scores": dict(candidate.scores)}


def _unpacked(row: Mapping[str, Any]) -> Candidate:
    place = {name: row[name] for name in ("token", "log_name", "location", "timestamp_us", "error")}
    if "tags" not in row:
        return Candidate(**place)
    manoeuvre, density, light, events = row["tags"]
    found = SceneTags(
        manoeuvre=Manoeuvre(manoeuvre),
        density=Density(density),
        light=Light(light),
        events=tuple(EventTag(event) for event in events),
    )
    return Candidate(**place, tags=found, scores=row["scores"])


def _scene(candidate: Candidate) -> BenchmarkScene:
    if candidate.tags is None or candidate.scores is None:
        raise InputError(f"Scene '{candidate.token}' was not judged: {candidate.error}")
    return BenchmarkScene(token=candidate.token, tags=candidate.tags, scores=candidate.scores)


def _same(towns: Sequence[Mapping[str, Any]], what: str, get: Callable[[Mapping[str, Any]], Any]) -> Any:
    first = get(towns[0])
    for town in towns[1:]:
        if get(town) != first:
            raise InputError(
                f"Towns {towns[0]['seed']} and {town['seed']} were generated with another {what}. "
                "A split is made of one recipe: generate them again, into an empty folder."
            )
    return first
