"""``diffdrive evaluate --metric``: score planners by NAVSIM's metrics, in one process, in a pool or on a Ray cluster."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.progress import ProgressReporter
from diffdrive.cli.source_options import checkpoint_folder, device_of, jump_table, open_source, require_sensors

if TYPE_CHECKING:
    from diffdrive.evaluation.names import PlannerName
    from diffdrive.evaluation.scoring import Executor, ScoredScenes, ScoringJob

EXECUTORS = ("process", "serial", "ray")
NOISE = ("fixed", "zero", "seeded")
_PICTURES = "worst"


def add_metric_options(parser: argparse.ArgumentParser) -> None:
    """``--metric`` and what belongs to it."""
    group = parser.add_argument_group("scores (with --metric)")
    group.add_argument(
        "--metric", nargs="+", metavar="NAME", help="pdms, epdms, epdms_prefix; several with spaces or commas between"
    )
    group.add_argument("--no-human-filter", action="store_true", help="EPDMS: do not forgive what the human lost too")
    group.add_argument("--corrected", action="store_true", help="judge without the devkit's known mistakes")
    group.add_argument(
        "--noise",
        choices=NOISE,
        help="what networks start from: the same noise in every scene (default), none, or noise made of --seed and the scene",
    )
    group.add_argument("--executor", choices=EXECUTORS, help="who does the work (default process)")
    group.add_argument("--workers", type=int, metavar="N", help="how many at a time (default: one a core)")
    group.add_argument("--ray-address", metavar="ADDRESS", help="of a running Ray cluster (default: one on this machine)")
    group.add_argument("--prepared", type=Path, metavar="DIR", help="keep prepared scenes here for the next planner")
    group.add_argument("--draw-worst", type=int, metavar="K", help=f"pictures of the K worst scenes, in OUT/{_PICTURES}")
    group.add_argument("--bootstrap-seed", type=int, metavar="N", help="of the intervals (default 0)")


def forbid_metric_options(args: argparse.Namespace) -> None:
    """Raise ``InputError`` for an option that would be ignored, because it needs ``--metric``."""
    from diffdrive.contracts import InputError

    names = (
        "no_human_filter",
        "corrected",
        "noise",
        "executor",
        "workers",
        "ray_address",
        "prepared",
        "draw_worst",
        "bootstrap_seed",
    )
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) not in (None, False)]
    if given:
        raise InputError(f"{', '.join(given)} belongs to scores. Name a metric: --metric pdms,epdms.")


def run_metrics(args: argparse.Namespace, names: Sequence[PlannerName], choose: Any) -> int:
    """Score. ``choose(tokens, count)`` picks the scenes of ``--scenes``. Status 1 when a scene could not be scored."""
    from diffdrive.evaluation.scoring import score_planners

    _check_out(args)
    executor = _executor(args)
    job = _job(args, names, choose)
    scored = score_planners(
        job,
        executor=executor,
        folder=args.out,
        seed=args.bootstrap_seed or 0,
        on_progress=None if args.json else ProgressReporter(),
    )
    pictures = _draw(args, job, scored)
    _tell(args, scored, pictures)
    return 1 if scored.failures else 0


def _check_out(args: argparse.Namespace) -> None:
    from diffdrive.contracts import InputError

    if args.out is not None and args.out.suffix.lower() == ".html":
        raise InputError(f"Scores are written into a folder, got --out {args.out}. A report has no --metric.")
    if args.draw_worst is not None and (args.draw_worst < 1 or args.out is None):
        raise InputError(f"--draw-worst needs a positive number and --out DIR, got {args.draw_worst} and {args.out}.")
    if args.draw_worst is not None:
        # A missing matplotlib must be told before the work, not after it.
        import diffdrive.viz  # noqa: F401


def _executor(args: argparse.Namespace) -> Executor:
    from diffdrive.contracts import InputError
    from diffdrive.evaluation.scoring import ProcessExecutor, RayExecutor, SerialExecutor

    kind = args.executor or "process"
    if args.ray_address is not None and kind != "ray":
        raise InputError(f"--ray-address belongs to --executor ray, got '{kind}'.")
    if kind == "ray":
        return RayExecutor(address=args.ray_address, workers=args.workers)
    if kind == "process":
        return ProcessExecutor(args.workers)
    if args.workers not in (None, 1):
        raise InputError(f"--executor serial has one worker, got --workers {args.workers}.")
    return SerialExecutor()


def _job(args: argparse.Namespace, names: Sequence[PlannerName], choose: Any) -> ScoringJob:
    from diffdrive.evaluation.scoring import NetworkOptions, ScoringJob, entrants, future_needed_s
    from diffdrive.runtime import EngineOptions
    from diffdrive.runtime.noise import NoiseKind
    from diffdrive.scoring.rules import MAP_RADIUS_M

    metrics = tuple(part for word in args.metric for part in word.split(",") if part)
    source = open_source(args, future_s=future_needed_s(metrics), map_radius_m=MAP_RADIUS_M)
    network = NetworkOptions(
        engine=args.engine,
        options=EngineOptions(jumps=jump_table(args), device=str(device_of(args))),
        seed=args.seed,
        noise=None if args.noise in (None, "fixed") else NoiseKind(args.noise),
    )
    planners = entrants(names, checkpoint_folder(args), network)
    if any(planner.needs_sensors for planner in planners):
        require_sensors(source)
    return ScoringJob(
        source=source,
        entrants=planners,
        tokens=choose(source.tokens, args.scenes),
        metrics=metrics,
        human_filter=not args.no_human_filter,
        corrected=args.corrected,
        prepared=args.prepared,
    )


def _draw(args: argparse.Namespace, job: ScoringJob, scored: ScoredScenes) -> list[Path]:
    from diffdrive.evaluation.scoring import draw_worst

    if args.draw_worst is None:
        return []
    planner = job.entrants[0].name
    return [
        path
        for metric in job.metrics
        for path in draw_worst(job, scored.rows, planner, metric, args.draw_worst, args.out / _PICTURES)
    ]


def _tell(args: argparse.Namespace, scored: ScoredScenes, pictures: Sequence[Path]) -> None:
    from diffdrive.evaluation.scoring.tables import tables

    if args.json:
        failures = [
            {"planner": row.planner, "metric": row.metric, "scene": row.token, "error": row.error} for row in scored.failures
        ]
        shown = [str(path) for path in pictures]
        print(json.dumps({"source": scored.source, **scored.summaries.as_json(), "failures": failures, "pictures": shown}))
        return
    print(tables(scored))
    if args.out is not None:
        print(
            f"\nwrote {args.out / 'per_scene.parquet'} and summary.json" + (f", {len(pictures)} pictures" if pictures else "")
        )
