"""``--benchmark``: work on the scenes of a split, or make its towns."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffdrive.world.generate import TownReport

Choose = Callable[[Sequence[str], int | None], tuple[str, ...]]


def add_benchmark_option(parser: argparse.ArgumentParser, what: str) -> None:
    """``what`` says what is done with the split."""
    parser.add_argument(
        "--benchmark", metavar="SPLIT", help=f"train, val, test or test-hard, or a manifest of world curate: {what}"
    )


def scenes_of_benchmark(args: argparse.Namespace, choose: Choose) -> Choose:
    """``choose``, among the scenes of ``--benchmark`` if that was given.

    Raises ``InputError`` for an unknown split, and without ``--logs`` in front of a split.
    """
    from diffdrive.contracts import InputError

    if args.benchmark is None:
        return choose
    from diffdrive.benchmark.data import tokens_in
    from diffdrive.benchmark.manifest import load_benchmark

    benchmark = load_benchmark(args.benchmark)
    root: Path | None = args.logs
    if root is None:
        raise InputError(
            f"--benchmark {args.benchmark} needs --data DIR, the folder that diffdrive world generate --benchmark wrote into."
        )
    return lambda tokens, count: choose(tokens_in(benchmark, root, tokens), count)


def generate_benchmark(args: argparse.Namespace, teller: Callable[[int], Callable[[TownReport], None]]) -> int:
    """Make exactly the towns of ``--benchmark`` and check that each is the one that was meant.

    ``teller(N)`` makes what is told of each of N towns.
    """
    from dataclasses import replace

    from diffdrive.benchmark.data import check_generator, check_town
    from diffdrive.benchmark.manifest import load_benchmark
    from diffdrive.contracts import InputError
    from diffdrive.world.generate import generate_world

    if args.overrides or any(value is not None for value in (args.config, args.towns, args.seed, args.split)):
        raise InputError(
            "--benchmark says which towns are made and how: give it without --config, --set, --towns, --seed and --split."
        )
    benchmark = load_benchmark(args.benchmark)
    check_generator(benchmark)
    config = replace(benchmark.world, sensors=args.sensors)
    seeds, tell = sorted(benchmark.towns), teller(len(benchmark.towns))
    reports = generate_world(seeds, config, args.out, split=benchmark.rule.folder, workers=args.workers, tell=tell)
    if failed := [str(report.seed) for report in reports if report.manifest is None]:
        raise InputError(f"Towns {', '.join(failed)} of benchmark '{benchmark.split}' could not be made. Run it again.")
    made = [report.manifest for report in reports if report.manifest is not None]
    for town in made:
        check_town(benchmark, town, args.out)
    print(
        f"{len(made)} towns of benchmark '{benchmark.split}' in {args.out}, all as they should be; "
        f"score planners in its {len(benchmark.scenes)} scenes: diffdrive evaluate --benchmark {args.benchmark} "
        f"--data {args.out} --metric pdms"
    )
    return 0
