"""``diffdrive world curate`` and ``diffdrive world stats``: make a split of the benchmark, and say what is in one."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.benchmark.config import SPLITS

if TYPE_CHECKING:
    from diffdrive.benchmark.curate import TownProgress


def add_parser(verbs: Any) -> None:
    """Register the verbs."""
    curate = verbs.add_parser("curate", help="score every scene of generated towns and choose those of a benchmark split")
    curate.add_argument("data", type=Path, metavar="DATA", help="data root that world generate wrote")
    curate.add_argument("--split", choices=tuple(SPLITS), required=True, help="which towns (by their seeds), how many scenes")
    curate.add_argument("--out", type=Path, required=True, metavar="MANIFEST", help="file to write, NAME.json.gz")
    curate.add_argument("--scenes", type=int, metavar="N", help="at most so many (default: the split's own number)")
    curate.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="change one rule")
    curate.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default 1)")
    curate.set_defaults(run=run_curate)
    stats = verbs.add_parser("stats", help="what a benchmark split is made of, and how the drivers fare in it")
    stats.add_argument("benchmark", metavar="SPLIT|MANIFEST", help=f"{', '.join(SPLITS)}, or a file that curate wrote")
    stats.add_argument("--draw", type=Path, metavar="PICTURE", help="draw it, too (PNG, PDF or SVG)")
    stats.set_defaults(run=run_stats)


def run_curate(args: argparse.Namespace) -> int:
    """Judge, choose, write, and show what was chosen."""
    from dataclasses import replace

    from diffdrive.benchmark.config import BenchmarkConfig, split_called
    from diffdrive.benchmark.curate import curate
    from diffdrive.benchmark.manifest import check_name, save_benchmark
    from diffdrive.benchmark.statistics import statistics_text
    from diffdrive.configuration import build
    from diffdrive.contracts import InputError

    if args.workers < 1 or (args.scenes is not None and args.scenes < 1):
        raise InputError(f"--workers and --scenes must be at least 1, got {args.workers} and {args.scenes}.")
    check_name(args.out)
    split = split_called(args.split)
    if args.scenes is not None:
        split = replace(split, num_scenes=args.scenes)
    config = build(BenchmarkConfig, None, args.overrides)
    benchmark = curate(args.data, split, config, workers=args.workers, on_progress=_TownReporter())
    save_benchmark(benchmark, args.out)
    print(statistics_text(benchmark))
    print(f"\nwrote {args.out}")
    if len(benchmark.scenes) < split.num_scenes:
        print(f"only {len(benchmark.scenes)} of {split.num_scenes} scenes meet the rules: generate more towns", file=sys.stderr)
    return 0


def run_stats(args: argparse.Namespace) -> int:
    """Print the tables, and draw them."""
    from diffdrive.benchmark.manifest import load_benchmark
    from diffdrive.benchmark.statistics import statistics_text

    benchmark = load_benchmark(args.benchmark)
    print(statistics_text(benchmark))
    if args.draw is not None:
        from diffdrive.benchmark.chart import draw_benchmark

        print(f"\nwrote {draw_benchmark(benchmark, args.draw)}")
    return 0


class _TownReporter:
    """A line a town, on stderr."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, progress: TownProgress) -> None:
        elapsed = time.monotonic() - self._start
        text = f"  {progress.num_done} of {progress.num_towns} towns, {progress.num_scenes} scenes, {elapsed:.0f} s"
        worked, left = progress.num_done - progress.num_kept, progress.num_towns - progress.num_done
        if progress.num_kept:
            text += f", {progress.num_kept} towns from an earlier run"
        if worked and left:
            text += f", about {left * elapsed / worked:.0f} s left"
        print(text, file=sys.stderr, flush=True)
