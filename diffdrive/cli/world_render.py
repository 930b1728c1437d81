"""``diffdrive world render``: draw the sensors of many scenes ahead of time, into the cache that other verbs read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffdrive.world.render_worker import Rendered
    from diffdrive.world.source import WorldSource

SCALES = {"quarter": 1 / 4, "full": 1.0}
_SHOWN = 10


def add_parser(verbs: Any) -> None:
    """Register the verb below ``world``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "render", help="draw cameras and LiDAR of many scenes into a cache, in several processes"
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder that holds logs/ and maps/")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR", help="where the sensors are kept; files there stay")
    parser.add_argument(
        "--manifest",
        metavar="SPLIT|FILE",
        help="which scenes: a split of the benchmark, a file that world curate wrote, or a text file with one token a line "
        "(default: every scene with 1.5 s of past and 4 s of future)",
    )
    parser.add_argument("--split", action="append", metavar="NAME", help="only logs of this split of the data; may be repeated")
    parser.add_argument(
        "--frames", type=int, choices=(1, 4), default=1, help="1: the present; 4: also 1.5, 1.0 and 0.5 s before (default 1)"
    )
    parser.add_argument("--cameras", choices=("front", "all"), default="front", help="front: three; all: eight (default front)")
    parser.add_argument(
        "--scale", choices=tuple(SCALES), default="quarter", help="quarter: 480 x 270; full: 1920 x 1080 (default quarter)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument(
        "--renderer", choices=("auto", "gl", "embree"), default="auto", help="what draws the cameras (default auto)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render, and say what was made and what failed."""
    from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_RIG, rig_at
    from diffdrive.world.render_job import render, with_history
    from diffdrive.world.source import WorldSource

    tokens = _tokens(args)
    frames = WorldSource(
        args.data,
        cache=args.cache,
        renderer=args.renderer,
        rig=rig_at(SCALES[args.scale], NUPLAN_FRONT_RIG if args.cameras == "front" else NUPLAN_RIG),
        splits=args.split,
        history_s=0,
        future_s=0,
        # The town is built from the whole map; what lies around a frame is not needed.
        map_radius_m=1.0,
    )
    wanted = with_history(frames, tokens, args.frames)
    failures = _watch(frames, wanted, render(frames, wanted, workers=args.workers))
    for failure in failures[:_SHOWN]:
        print(f"{failure.token}: {failure.reason}", file=sys.stderr)
    if len(failures) > _SHOWN:
        print(f"and {len(failures) - _SHOWN} more", file=sys.stderr)
    return 1 if failures else 0


def _tokens(args: argparse.Namespace) -> tuple[str, ...]:
    from diffdrive.benchmark.manifest import SPLITS, load_benchmark
    from diffdrive.contracts import InputError
    from diffdrive.sources import Arrow123dSource

    if args.manifest is None:
        return Arrow123dSource(args.data, splits=args.split).tokens
    if args.manifest in SPLITS or args.manifest.endswith(".json.gz"):
        return load_benchmark(args.manifest).tokens
    try:
        lines = Path(args.manifest).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--manifest '{args.manifest}' cannot be read: {error}. Give a split ({', '.join(SPLITS)}), a file that "
            "world curate wrote, or a text file with one token a line."
        ) from error
    tokens = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not tokens:
        raise InputError(f"--manifest '{args.manifest}' names no scenes.")
    return tokens


def _watch(frames: WorldSource, wanted: tuple[str, ...], done: Any) -> list[Rendered]:
    """Show how far the work is; the frames that failed."""
    from diffdrive.cli.progress import ProgressReporter
    from diffdrive.evaluation.scoring import Progress

    show, kept, failures = ProgressReporter(), 0, []
    for number, frame in enumerate(done, start=1):
        kept += not frame.is_new and not frame.reason
        failures += [frame] if frame.reason else []
        show(Progress(num_scenes=len(wanted), num_done=number, num_kept=kept, num_failed=len(failures)))
    drawn = len(wanted) - kept - len(failures)
    print(f"{drawn} frames rendered, {kept} were there, {len(failures)} failed; cache: {frames.cache}")
    return failures
