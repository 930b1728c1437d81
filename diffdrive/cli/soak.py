"""``diffdrive soak``: drive for an hour with a thousand faults, and look at every trajectory that comes out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffdrive.simulation.soak.drive import Drive
    from diffdrive.simulation.soak.run import SoakRun

_EVERY_S = 30.0


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "soak", help="drive with faults of every kind and check every trajectory", description=__doc__
    )
    parser.add_argument("--frames", type=int, default=36_000, metavar="N", help="ten a second (default 36000: an hour)")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after so long, finished or not")
    parser.add_argument("--faults", type=int, default=1000, metavar="N", help="spread over the frames (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule of faults (default 0)")
    parser.add_argument(
        "--planner", choices=("network", "arcs"), default="network", help="arcs: cheap, no network in it (default network)"
    )
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="folder of a planner (default: the shipped nano)")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="data root of the embedded world (default: shipped)")
    parser.add_argument("--shots", type=int, default=36, metavar="N", help="scenes whose sensors are rendered (default 36)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep rendered sensors here")
    parser.add_argument(
        "--deadline", type=float, default=1.0, metavar="S", help="for a plan, on this machine's clock (default 1.0 s)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write soak.md and soak.json here")
    parser.add_argument("--json", action="store_true", help="print everything as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Soak. Status 1 on any breach of safety, and where memory grew."""
    from diffdrive.contracts import InputError
    from diffdrive.simulation.soak.faults import schedule
    from diffdrive.simulation.soak.report import as_json, as_text, failures

    if not args.deadline > 0 or (args.minutes is not None and not args.minutes > 0):
        raise InputError(f"--deadline and --minutes must be above 0, got {args.deadline} and {args.minutes}.")
    events = schedule(args.frames, args.faults, args.seed)
    done = _soaked(args, events, _drive(args))
    about = {"seed": args.seed, "planner": args.planner, "deadline_s": args.deadline, "shots": args.shots}
    record = as_json(done, about)
    if args.out is not None:
        _write(args.out, done, record)
    print(json.dumps(record) if args.json else as_text(done))
    return 1 if failures(done) else 0


def _drive(args: argparse.Namespace) -> Drive:
    from diffdrive.assets import LOGS
    from diffdrive.simulation.soak.drive import drive_of
    from diffdrive.world.source import WorldSource

    source = WorldSource(args.logs or LOGS, cache=args.cache, stride_s=0.1, future_s=0.5, map_radius_m=1.0)
    return drive_of(source, args.shots)


def _soaked(args: argparse.Namespace, events: Any, drive: Drive) -> SoakRun:
    from diffdrive.assets import CHECKPOINTS
    from diffdrive.runtime.envelope import EnvelopeConfig
    from diffdrive.simulation.soak.child import PRELOADED, ChildPlanner
    from diffdrive.simulation.soak.monitor import Safe
    from diffdrive.simulation.soak.run import SoakPlan, soak
    from diffdrive.simulation.soak.sabotage import PlannerMaker

    checkpoint = None if args.planner == "arcs" else (args.checkpoint or CHECKPOINTS / "nano")
    make = PlannerMaker(checkpoint=checkpoint, slow_s=1.2 * args.deadline)
    preload = make.__module__ if checkpoint is None else PRELOADED
    child = ChildPlanner(make, patience_s=3 * args.deadline, preload=preload)
    plan = SoakPlan(
        num_frames=args.frames,
        events=events,
        config=EnvelopeConfig(deadline_s=args.deadline),
        safe=Safe(cycle_s=args.deadline + 0.5),
        most_wall_s=float("inf") if args.minutes is None else 60 * args.minutes,
    )
    return soak(drive, plan, child, on_frame=None if args.json else _teller(args.frames))


def _teller(num_frames: int) -> Callable[[int], None]:
    """Says on stderr now and then how far it is."""
    told = [time.monotonic()]

    def tell(frame: int) -> None:
        if time.monotonic() - told[0] >= _EVERY_S:
            told[0] = time.monotonic()
            print(f"  {frame + 1} of {num_frames} frames", file=sys.stderr, flush=True)

    return tell


def _write(folder: Path, done: SoakRun, record: dict[str, Any]) -> None:
    from diffdrive.files import written_aside
    from diffdrive.simulation.soak.report import as_markdown

    for name, text in (("soak.md", as_markdown(done)), ("soak.json", json.dumps(record, indent=1) + "\n")):
        with written_aside(folder / name) as aside:
            aside.write_text(text)
