"""The manifest of a split: everything needed to make its towns again, to find its scenes, and to tell when either changed.

A gzipped JSON file. The ones that ship with the package are the benchmark.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffdrive.assets import BENCHMARK
from diffdrive.benchmark.config import SPLITS, BenchmarkConfig, Split, split_called
from diffdrive.benchmark.drivers import DRIVERS
from diffdrive.benchmark.tags import Density, EventTag, Light, Manoeuvre, SceneTags
from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.world.generate import WorldConfig

FORMAT = 1
ENDING = ".json.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkScene:
    """One scene of a split."""

    token: str
    tags: SceneTags
    scores: Mapping[str, float]
    """PDMS by driver, 0..1."""

    @property
    def location(self) -> str:
        """Its town."""
        return self.token.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A split: its towns, its scenes, and what they were made with."""

    split: str
    generator: str
    """``generator_fingerprint`` of the code that made the towns."""

    sumo: str
    """Version of SUMO."""

    world: WorldConfig
    rules: BenchmarkConfig
    towns: Mapping[int, str]
    """By seed: the hash of the town's map and logs."""

    scenes: tuple[BenchmarkScene, ...]
    """Sorted by token."""

    num_candidates: int
    dropped: Mapping[str, int]
    """Candidates that were not chosen, by the rule that dropped them."""

    def __post_init__(self) -> None:
        split = split_called(self.split)
        where = f"Benchmark '{self.split}'"
        tokens = [scene.token for scene in self.scenes]
        if not tokens or len(set(tokens)) != len(tokens):
            twice = sorted({token for token in tokens if tokens.count(token) > 1})[:3]
            raise InputError(f"{where} needs at least one scene and every scene once, got {len(tokens)}, repeated: {twice}.")
        if outside := [seed for seed in self.towns if not split.first_seed <= seed <= split.last_seed]:
            raise InputError(
                f"{where} has towns with seeds {split.first_seed} to {split.last_seed}, got {sorted(outside)[:3]}: "
                "other seeds belong to other splits."
            )
        known = {f"town{seed:04d}" for seed in self.towns}
        if strangers := sorted({scene.location for scene in self.scenes} - known):
            raise InputError(f"{where} has scenes of {', '.join(strangers[:3])}, which are none of its towns.")
        if self.num_candidates != len(tokens) + sum(self.dropped.values()):
            raise InputError(
                f"{where} counts {self.num_candidates} candidates, but {len(tokens)} scenes and "
                f"{sum(self.dropped.values())} dropped ones."
            )

    @property
    def rule(self) -> Split:
        """What the split is made of."""
        return split_called(self.split)

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(scene.token for scene in self.scenes)

    @property
    def digest(self) -> str:
        """16 hex digits that change with anything in here: quote them with results."""
        return _digest(_values(self))


def check_name(path: Path) -> None:
    """Raise ``InputError`` for a name that does not end in ``.json.gz``."""
    if not path.name.endswith(ENDING):
        raise InputError(f"A benchmark's manifest is called NAME{ENDING}, got '{path}'.")


def save_benchmark(benchmark: Benchmark, path: Path) -> None:
    """Write the manifest, the same bytes every time. Raises ``InputError`` as ``check_name`` does."""
    check_name(path)
    values = _values(benchmark)
    scenes = ",\n".join(json.dumps(row) for row in values.pop("scenes"))
    head = json.dumps({"hash": benchmark.digest, **values}, indent=1)
    text = f'{head.rstrip().removesuffix("}").rstrip()},\n "scenes": [\n{scenes}\n]\n}}\n'
    with written_aside(path) as aside:
        aside.write_bytes(gzip.compress(text.encode(), mtime=0))


def load_benchmark(name: str | Path) -> Benchmark:
    """A split that ships with the package by its name, or a manifest by its path.

    Raises ``InputError`` for a file that is missing, no manifest, of another format, or changed since it was written.
    """
    path = shipped(str(name)) if str(name) in SPLITS else Path(name)
    if not path.is_file():
        there = f"This package has no manifest of '{name}'" if str(name) in SPLITS else f"'{path}' does not exist"
        raise InputError(f"{there}. Splits: {', '.join(SPLITS)}; or give the path of a file that world curate wrote.")
    try:
        values = json.loads(gzip.decompress(path.read_bytes()))
        found_format, stated = values["format"], values.pop("hash")
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' is no benchmark manifest: {error!r}. Make it again with diffdrive world curate.") from error
    if found_format != FORMAT:
        raise InputError(
            f"'{path}' has format {found_format}, and this version reads {FORMAT}. Use the diffdrive that wrote it."
        )
    if _digest(values) != stated:
        raise InputError(f"'{path}' was changed after it was written: its hash does not match. Get the original file.")
    try:
        return _benchmark(values)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{path}' lacks what a manifest states: {error!r}. Make it again.") from error


def shipped(split: str) -> Path:
    """Where the manifest of a split lies in the package."""
    return BENCHMARK / f"{split}{ENDING}"


def _values(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "split": benchmark.split,
        "generator": benchmark.generator,
        "sumo": benchmark.sumo,
        "world": to_mapping(benchmark.world),
        "rules": to_mapping(benchmark.rules),
        "drivers": list(DRIVERS),
        "num_candidates": benchmark.num_candidates,
        "dropped": dict(benchmark.dropped),
        "towns": {str(seed): content for seed, content in sorted(benchmark.towns.items())},
        "scenes": [_row(scene) for scene in benchmark.scenes],
    }


def _row(scene: BenchmarkScene) -> list[Any]:
    tags = scene.tags
    events = " ".join(event.value for event in tags.events)
    words = [tags.manoeuvre.value, tags.density.value, tags.light.value, events]
    return [scene.token, *words, *(scene.scores[name] for name in DRIVERS)]


def _benchmark(values: Mapping[str, Any]) -> Benchmark:
    return Benchmark(
        split=values["split"],
        generator=values["generator"],
        sumo=values["sumo"],
        world=build(WorldConfig, values["world"]),
        rules=build(BenchmarkConfig, values["rules"]),
        towns={int(seed): content for seed, content in values["towns"].items()},
        scenes=tuple(_scene(row, values["drivers"]) for row in values["scenes"]),
        num_candidates=values["num_candidates"],
        dropped=values["dropped"],
    )


def _scene(row: list[Any], drivers: list[str]) -> BenchmarkScene:
    token, manoeuvre, density, light, events, *scores = row
    tags = SceneTags(
        manoeuvre=Manoeuvre(manoeuvre),
        density=Density(density),
        light=Light(light),
        events=tuple(EventTag(event) for event in events.split()),
    )
    return BenchmarkScene(token=token, tags=tags, scores=dict(zip(drivers, scores, strict=True)))


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
