"""``diffdrive bench``: how long a plan takes with an engine, or how two engines compare, on this machine."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.cli.source_options import add_jumps_option, device_of, jump_table

if TYPE_CHECKING:
    from diffdrive.model import PlannerModel
    from diffdrive.runtime.latency import EngineChoice, Subject


def add_parser(subparsers: Any) -> None:
    """Register the verb."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "bench", help="measure latency, stage by stage, or two engines in turns", description=__doc__
    )
    engines = parser.add_mutually_exclusive_group()
    engines.add_argument("--engine", default="eager", metavar="NAME[:PRECISION]", help="for example plain:fp32 (default eager)")
    engines.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="time two engines in turns, frame by frame, and print median A / median B",
    )
    models = parser.add_mutually_exclusive_group()
    models.add_argument(
        "--model", choices=("base", "nano"), default="nano", help="base: random weights; nano: the shipped ones (default nano)"
    )
    models.add_argument("--checkpoint", type=Path, metavar="DIR", help="folder of a planner, instead of --model")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default cpu)")
    add_jumps_option(parser)
    parser.add_argument("--batch-size", type=int, default=1, metavar="B", help="scenes per call (default 1)")
    parser.add_argument("--frames", type=int, default=1000, metavar="N", help="frames that count (default 1000)")
    parser.add_argument("--warm-up", type=int, default=50, metavar="N", help="frames before them, at least 5 (default 50)")
    parser.add_argument("--threads", type=int, metavar="N", help="of torch on the CPU (default: torch's own choice)")
    parser.add_argument("--seed", type=int, default=0, help="of frames, noise and random weights (default 0)")
    parser.add_argument("--deadline-ms", type=float, metavar="D", help="count the frames that take longer, end to end")
    parser.add_argument("--fail-on-miss", action="store_true", help="exit status 1 when a frame took longer than --deadline-ms")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write everything that was measured")
    parser.add_argument("--json", action="store_true", help="print everything as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure. Status 1 when a frame was answered with the fallback, or late where ``--fail-on-miss`` is given."""
    _check(args)
    import torch

    from diffdrive.runtime.latency import FrameFailedError, describe_environment, gpu_clocks, plain, write_json

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    device = device_of(args)
    # Before anything runs: the load average is to be the others' load.
    command = [Path(sys.argv[0]).name, *sys.argv[1:]]
    environment = describe_environment(device, date=datetime.now(UTC), arguments=command)
    try:
        measured = _measure(args)
    except FrameFailedError as error:
        print(f"diffdrive: error: {error}", file=sys.stderr)
        return 1
    if device.type == "cuda":
        environment["gpu_after"] = gpu_clocks(device)
    record = plain({**measured, "model": describe_model(args), "seed": args.seed, "environment": environment})
    if args.out is not None:
        write_json(args.out, record)
    print(json.dumps(record) if args.json else as_text(record))
    if args.out is not None and not args.json:
        print(f"wrote {args.out}")
    return 1 if args.fail_on_miss and _misses(record) else 0


def _check(args: argparse.Namespace) -> None:
    from diffdrive.contracts import InputError

    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise InputError(f"--out: the folder '{args.out.parent}' does not exist. Create it first.")
    if args.fail_on_miss and args.deadline_ms is None:
        raise InputError("--fail-on-miss needs --deadline-ms D: without a deadline nothing can be late.")
    if args.deadline_ms is not None and not args.deadline_ms > 0:
        raise InputError(f"--deadline-ms must be above 0, got {args.deadline_ms:g}.")
    if args.threads is not None and args.threads < 1:
        raise InputError(f"--threads must be at least 1, got {args.threads}.")


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    from diffdrive.runtime.latency import BenchSettings, EngineChoice, LoopSettings, bench, compare, synthetic_observations

    settings = BenchSettings(
        loop=LoopSettings(frames=args.frames, warm_up=args.warm_up),
        deadline_s=None if args.deadline_ms is None else args.deadline_ms / 1e3,
        seed=args.seed,
    )
    choices = [EngineChoice.parse(text) for text in args.compare or [args.engine]]
    subjects = [_subject(args, choice) for choice in choices]
    observations = synthetic_observations(seed=args.seed)
    if args.compare:
        return compare(subjects[0], subjects[1], observations, settings, time.perf_counter)
    return bench(subjects[0], observations, settings, time.perf_counter)


def _subject(args: argparse.Namespace, choice: EngineChoice) -> Subject:
    from diffdrive.runtime import EngineOptions
    from diffdrive.runtime.latency import Subject

    options = EngineOptions(jumps=jump_table(args), device=args.device, precision=choice.precision, batch_size=args.batch_size)
    # Every engine takes its model over, so each gets one of its own.
    return Subject.make(choice, _model(args), options, seed=args.seed)


def _model(args: argparse.Namespace) -> PlannerModel:
    from diffdrive.assets import CHECKPOINTS
    from diffdrive.model import base
    from diffdrive.model.checkpoint import load_checkpoint
    from diffdrive.runtime.latency import random_planner

    if args.checkpoint is not None:
        return load_checkpoint(args.checkpoint)
    return random_planner(base(), args.seed) if args.model == "base" else load_checkpoint(CHECKPOINTS / args.model)


def describe_model(args: argparse.Namespace) -> dict[str, str]:
    """Which network, and where its weights are from."""
    if args.checkpoint is not None:
        return {"name": args.checkpoint.name, "weights": str(args.checkpoint)}
    return {
        "name": args.model,
        "weights": f"random weights, seed {args.seed}" if args.model == "base" else "shipped checkpoint",
    }


def _misses(record: dict[str, Any]) -> int:
    tables = record["end_to_end"].values() if record["kind"] == "comparison" else [record["end_to_end"]]
    return sum(table["misses"] for table in tables)


def as_text(record: dict[str, Any]) -> str:
    """The record for a reader."""
    environment = record["environment"]
    machine = environment["gpu"] or environment["cpu"]
    machine = machine.get("model") or machine.get("name") or "unknown machine"
    lines = [
        f"model   {record['model']['name']} ({record['model']['weights']})",
        f"on      {machine}, {environment['threads']} threads, load {environment['load_average'][0]:.2f}, "
        f"torch {environment['torch']}",
        f"frames  {record['frames']} after {record['warm_up_frames']} of warm-up",
    ]
    lines += _comparison(record) if record["kind"] == "comparison" else _latency(record)
    return "\n".join(lines)


def _latency(record: dict[str, Any]) -> list[str]:
    rows = {"end to end": record["end_to_end"], "network": record["network"]}
    rows |= {f"  {stage}": table for stage, table in record["stages"].items()}
    return [*_engine("engine", record["engine"]), *_table(rows), *_late("", record["end_to_end"])]


def _comparison(record: dict[str, Any]) -> list[str]:
    rows = {
        f"{side.upper()} {what.replace('_', ' ')}": record[what][side] for what in ("end_to_end", "network") for side in "ab"
    }
    apart = record["largest_difference"]
    lines = [*_engine("A", record["a"]), *_engine("B", record["b"]), *_table(rows)]
    for what, name in (("ratio", "end to end"), ("ratio_network", "network")):
        low, high = record[f"{what}_interval_95"]
        lines.append(f"A / B   {record[what]:.3f} [{low:.3f}, {high:.3f}] of the medians, {name}")
    numbers = [
        f"{name} unknown" if apart[key] is None else f"{name} {apart[key]:.2e}{unit}" for key, name, unit in _DIFFERENCES
    ]
    lines.append(
        f"apart   {', '.join(numbers)}, over all modes; same choice in {100 * apart['same_choice']:.0f} % of the scenes"
    )
    for side in "ab":
        lines += _late(f"{side.upper()}: ", record["end_to_end"][side])
    return lines


_DIFFERENCES = (("position_m", "position", " m"), ("heading_rad", "heading", " rad"), ("logit", "logit", ""))


def _engine(title: str, engine: dict[str, Any]) -> list[str]:
    lines = [f"{title:7s} {engine['description']}"]
    return lines if engine["degraded"] is None else [*lines, f"        DEGRADED: {engine['degraded']}"]


def _table(rows: dict[str, dict[str, Any]]) -> list[str]:
    columns = ("p50", "p95", "p99", "max", "mean", "jitter")
    lines = [f"{'ms':16s}" + "".join(f"{column:>10s}" for column in columns)]
    return lines + [f"{name:16s}" + "".join(f"{row[f'{column}_ms']:10.3f}" for column in columns) for name, row in rows.items()]


def _late(title: str, table: dict[str, Any]) -> list[str]:
    if table["misses"] is None:
        return []
    return [f"late    {title}{table['misses']} of {table['frames']} frames took longer than {table['deadline_ms']:g} ms"]
