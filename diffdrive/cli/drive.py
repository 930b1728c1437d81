"""``diffdrive drive``: closed loop. Drivers drive episodes of the embedded world, and are compared."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffdrive.simulation.drivers import DriverName
    from diffdrive.simulation.record import EpisodeRecord
    from diffdrive.simulation.worker import Campaign, Told


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "drive", help="closed loop: drive in the embedded world among traffic that reacts", description=__doc__
    )
    parser.add_argument(
        "--driver",
        nargs="+",
        default=["network"],
        metavar="NAME",
        help="network, network:envelope, network:warm, network:envelope:warm, pdm_closed, idm, constant_velocity, human "
        "(default network); several share towns and traffic",
    )
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="folder of a planner (default: the shipped nano)")
    parser.add_argument("--episodes", type=int, metavar="N", help="how many (default 10)")
    parser.add_argument(
        "--benchmark", default="test", metavar="SPLIT", help="whose towns: val, test or test-hard (default test)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", metavar="S", help="towns of these seeds instead")
    parser.add_argument("--config", type=Path, metavar="YAML", help="overrides of WorldConfig, with --seeds")
    parser.add_argument("--replan-hz", type=float, default=2.0, metavar="HZ", help="plans a second: 10, 5, 2 or 1 (default 2)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where drives are kept; finished ones stay (default out/drive)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where towns are kept (default: OUT/towns)")
    parser.add_argument("--workers", type=int, default=1, help="drives at the same time (default 1)")
    parser.add_argument("--renderer", choices=("auto", "gl", "embree"), default="auto", help="of the cameras (default auto)")
    parser.add_argument("--video", action="store_true", help="film every drive: OUT/DRIVER/EPISODE.mp4")
    parser.add_argument("--table", type=Path, nargs="+", metavar="DIR", help="drive nothing, compare what these folders hold")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Drive and compare. Status 1 where a drive failed."""
    from diffdrive.cli.drive_table import tables, write_lines
    from diffdrive.contracts import InputError
    from diffdrive.simulation.drivers import DriverName
    from diffdrive.simulation.record import records_below

    if args.table is not None:
        if args.out is not None:
            raise InputError("--table compares what was driven, --out drives. Give one of them.")
        print(tables(records_below(args.table)))
        return 0
    args.out = args.out or Path("out/drive")
    names = [DriverName.parse(text) for text in args.driver]
    records, failed = _drive(args, names)
    write_lines(records, args.out / "records.jsonl")
    if records:
        print(tables(records))
    if failed:
        print(f"{failed} drives failed; run the same command again to repeat them", file=sys.stderr)
    return 1 if failed else 0


def _drive(args: argparse.Namespace, names: Sequence[DriverName]) -> tuple[list[EpisodeRecord], int]:
    from diffdrive.simulation.campaign import check, choose, run

    campaign, seeds = _campaign(args)
    if drawn := check(campaign, names):
        print(f"renderer: {drawn}", file=sys.stderr)
    count = 10 if args.episodes is None else args.episodes
    episodes = choose(campaign, seeds, count, workers=args.workers, tell=_tell_town)
    records, failed, total = [], 0, count * len(names)
    for number, told in enumerate(run(campaign, episodes, names, workers=args.workers), start=1):
        _tell_drive(told, f"[{number}/{total}]")
        if told.record is None:
            failed += 1
        else:
            records.append(told.record)
    return records, failed


def _campaign(args: argparse.Namespace) -> tuple[Campaign, list[int]]:
    from diffdrive.assets import CHECKPOINTS
    from diffdrive.benchmark.manifest import load_benchmark
    from diffdrive.configuration import build, load_yaml
    from diffdrive.contracts import InputError
    from diffdrive.simulation.episode import EpisodeConfig
    from diffdrive.simulation.worker import Campaign
    from diffdrive.world.simulation import WorldConfig

    if args.seeds is None:
        if args.config is not None:
            raise InputError("--config goes with --seeds: the towns of a benchmark are made as its manifest says.")
        benchmark = load_benchmark(args.benchmark)
        seeds, world, split = sorted(benchmark.towns), benchmark.world, benchmark.rule.folder
    else:
        seeds, world, split = list(args.seeds), build(WorldConfig, load_yaml(args.config) if args.config else None), "test"
    campaign = Campaign(
        out=args.out,
        cache=args.cache or args.out / "towns",
        split=split,
        episode=EpisodeConfig(replan_hz=args.replan_hz),
        world=world,
        checkpoint=args.checkpoint or CHECKPOINTS / "nano",
        renderer=args.renderer,
        has_video=args.video,
    )
    return campaign, seeds


def _tell_town(told: Told) -> None:
    print(f"town {told.seed} ready: {told.num_starts} windows, {told.took_s:.0f} s", file=sys.stderr, flush=True)


def _tell_drive(told: Told, place: str) -> None:
    if told.drive is None:
        print(f"{place} town {told.seed}: {told.error}", file=sys.stderr, flush=True)
        return
    episode, name = told.drive
    if told.record is None:
        where = f"town {episode.seed}, window {episode.number}"
        print(f"{place} {where}, {name} failed: {told.error}", file=sys.stderr, flush=True)
        return
    record = told.record
    print(
        f"{place} {record.episode} {record.driver}: {100 * record.driving_score:.0f} "
        f"({record.end.value} after {record.duration_s:.1f} s, {100 * record.route_completion:.0f} % of the route, "
        f"{told.took_s:.0f} s to simulate)",
        file=sys.stderr,
        flush=True,
    )
