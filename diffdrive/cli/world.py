"""``diffdrive world``: make towns and drives of the embedded world."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffdrive.cli import world_export, world_render, world_stats, world_view
from diffdrive.cli.benchmark_options import add_benchmark_option, generate_benchmark

if TYPE_CHECKING:
    from diffdrive.world.generate import TownReport


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the verb."""
    world = subparsers.add_parser("world", help="make driving data in the embedded world")
    verbs = world.add_subparsers(dest="world_verb", required=True, metavar="VERB")
    generate = verbs.add_parser("generate", help="towns, traffic and ego drives as 123D logs (needs SUMO)")
    generate.add_argument("--out", type=Path, required=True, metavar="DIR", help="123D data root to write into")
    generate.add_argument("--towns", type=int, help="number of towns (default 1)")
    generate.add_argument("--seed", type=int, help="seed of the first town; the next ones count on (default 0)")
    generate.add_argument("--split", choices=("train", "val", "test"), help="default train")
    generate.add_argument("--config", type=Path, metavar="YAML", help="overrides of WorldConfig")
    generate.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="one override")
    generate.add_argument("--workers", type=int, default=1, help="towns made at the same time (default 1)")
    generate.add_argument("--sensors", action="store_true", help="write images and sweeps into the logs (else rendered later)")
    add_benchmark_option(generate, "exactly its towns")
    generate.set_defaults(run=run)
    world_render.add_parser(verbs)
    world_view.add_parser(verbs)
    world_stats.add_parser(verbs)
    world_export.add_parser(verbs)


def run(args: argparse.Namespace) -> int:
    """Make the towns and say what was made."""
    from diffdrive.configuration import build, load_yaml
    from diffdrive.contracts import InputError
    from diffdrive.world.generate import WorldConfig, generate_world

    if args.benchmark is not None:
        return generate_benchmark(args, TownTeller)
    num_towns, split = 1 if args.towns is None else args.towns, args.split or "train"
    if num_towns < 1:
        raise InputError(f"--towns must be at least 1, got {num_towns}.")
    sensors = ["sensors=true"] if args.sensors else []
    config = build(WorldConfig, load_yaml(args.config) if args.config else None, [*args.overrides, *sensors])
    first = args.seed or 0
    seeds = range(first, first + num_towns)
    reports = generate_world(seeds, config, args.out, split=split, workers=args.workers, tell=TownTeller(num_towns))
    made = [report.manifest for report in reports if report.manifest is not None]
    print(f"{sum(len(town['logs']) for town in made)} logs of {len(made)} towns ({split}) in {args.out}")
    if failed := [report.seed for report in reports if report.manifest is None]:
        print(f"{len(failed)} of {len(reports)} towns could not be made: {', '.join(map(str, failed))}", file=sys.stderr)
        return 1
    return 0


@dataclass(slots=True)
class TownTeller:
    """One line for each town when it is done, and how long the rest will take."""

    num_towns: int
    clock: Callable[[], float] = time.monotonic
    _done: int = 0
    _start: float = 0.0

    def __post_init__(self) -> None:
        self._start = self.clock()

    def __call__(self, report: TownReport) -> None:
        self._done += 1
        left_s = (self.clock() - self._start) / self._done * (self.num_towns - self._done)
        place = f"[{self._done}/{self.num_towns}, {left_s:.0f} s left]"
        town = report.manifest
        if town is None:
            print(f"{place} seed {report.seed} failed: {report.error}", file=sys.stderr, flush=True)
            return
        logs, boxes, seconds = len(town["logs"]), town["boxes_per_frame"], town["seconds"]
        print(
            f"{place} {town['location']}  {logs:2d} logs  {town['frames']:5d} frames  {boxes:5.1f} boxes a frame  "
            f"{seconds:5.1f} s",
            flush=True,
        )
