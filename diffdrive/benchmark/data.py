"""The scenes of a split in generated data: all of them there, and in the very towns that the benchmark means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffdrive.benchmark.manifest import Benchmark
from diffdrive.contracts import InputError
from diffdrive.world.manifest import manifest_path, read_manifest, versions


def check_generator(benchmark: Benchmark) -> None:
    """Raise ``InputError`` where this version's generator, or its SUMO, is not the one that the benchmark was made with."""
    here = versions()
    if here["generator"] != benchmark.generator:
        raise InputError(
            f"Benchmark '{benchmark.split}' was made by generator {benchmark.generator}, this is {here['generator']}: its "
            "towns would differ. Use the diffdrive that ships it, or make a benchmark of your own with diffdrive world curate."
        )
    if here["libsumo"] != benchmark.sumo:
        raise InputError(
            f"Benchmark '{benchmark.split}' was made with SUMO {benchmark.sumo}, and {here['libsumo']} is installed. "
            f"Get it with: pip install eclipse-sumo=={benchmark.sumo} libsumo=={benchmark.sumo} sumolib=={benchmark.sumo}"
        )


def check_town(benchmark: Benchmark, town: Mapping[str, Any], root: Path) -> None:
    """Raise ``InputError`` where the town of this manifest is not the one that the benchmark's scenes lie in."""
    seed, content = int(town["seed"]), town.get("content")
    expected = benchmark.towns.get(seed)
    if expected is None:
        raise InputError(f"Town {seed} is none of benchmark '{benchmark.split}'.")
    if content != expected:
        raise InputError(
            f"Town {seed} below '{root}' is {content}, and benchmark '{benchmark.split}' needs {expected}. Remove its "
            "manifest, map and logs and generate it again, with the package versions of constraints.txt. If it comes out "
            "the same, this machine computes otherwise than the one that made the benchmark: please report it."
        )


def tokens_in(benchmark: Benchmark, root: Path, tokens: Sequence[str]) -> tuple[str, ...]:
    """The benchmark's scenes, in its order, where a source over the data root ``root`` has the scenes ``tokens``.

    Raises ``InputError`` where a scene is not there, and where a town is not the benchmark's.
    """
    there = set(tokens)
    missing = [scene for scene in benchmark.scenes if scene.token not in there]
    if missing:
        towns = sorted({scene.location for scene in missing})
        shown = ", ".join(towns[:3]) + (f" and {len(towns) - 3} more" if len(towns) > 3 else "")
        raise InputError(
            f"'{root}' lacks {len(missing)} of {len(benchmark.scenes)} scenes of benchmark '{benchmark.split}' (in {shown}). "
            f"Make them: diffdrive world generate --benchmark {benchmark.split} --out {root}"
        )
    for location in sorted({scene.location for scene in benchmark.scenes}):
        check_town(benchmark, read_manifest(manifest_path(root, location)), root)
    return benchmark.tokens
