"""Time training: samples a second of the loader alone, of the step alone and of both together.

    python tools/bench_training.py --preset nano
    python tools/bench_training.py --preset base --workers 0 1 2 --batch-size 2 --batches 4
    python tools/bench_training.py --preset base --device cuda                     # on a machine with a GPU: one command
    python tools/bench_training.py --preset base --source out/features/NAME        # your cache instead of synthetic scenes

The three take turns inside one run of Lightning's trainer, with the configuration of the preset's training file; further
KEY=VALUE arguments override it. Numbers are medians of the rounds. The cache lies in the system's file cache after the first
round, so a disk is not measured. ``--step-samples-per-s`` adds rows for steps of other machines. Writes
docs/benchmarks/training-<preset>-<device>.json and prints a table.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from synthetic_features import SyntheticSource
from training_rounds import Rounds, measure

from diffdrive.model import planner_config
from diffdrive.runtime.latency.environment import describe_environment
from diffdrive.runtime.latency.report import write_json
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.config import InitialConfig, TrainingConfig, load_training_config

REPOSITORY = Path(__file__).resolve().parents[1]
RUN_FILES = {"nano": "nano.yaml", "base": "base_navsim_recipe.yaml"}
ANCHORS = REPOSITORY / "anchors" / "drivetown_20.npy"
CORES = 16
"""Of the machine that the loader's rate is extrapolated to."""


def configured(args: argparse.Namespace) -> TrainingConfig:
    """The run that is timed: as the preset's file says, on the device that was asked for."""
    overrides = [f"data.batch_size={args.batch_size}"] if args.batch_size else []
    if args.device == "cuda":
        overrides += ["accelerator=gpu", "devices=1", "precision=bf16-mixed"]
    elif args.preset == "base":
        overrides += ["accelerator=cpu", "devices=1", "precision=32-true", f"threads={os.cpu_count()}"]
    file = REPOSITORY / "configs" / "training" / RUN_FILES[args.preset]
    # The first weights do not change the time of a step, and their file may not be there.
    return replace(load_training_config(file, [*overrides, *args.overrides]), initial=InitialConfig())


def open_cache(source: str, config: TrainingConfig, scenes: int, folder: Path) -> FeatureCache:
    """The named cache, or a new one of synthetic scenes."""
    planner = planner_config(config.preset, config.planner)
    if source != "synthetic":
        cache = FeatureCache(Path(source))
        cache.expect(replace(cache.spec, inputs=planner.inputs, targets=planner.targets))
        return cache
    made = SyntheticSource(num_scenes=scenes)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source=made.name, tokens=made.tokens)
    return open_or_build(folder, spec, partial(copy, made), workers=os.cpu_count() or 1)


def summary(processes: list[dict[str, Any]], plan: Rounds, given_rates: Sequence[float]) -> dict[str, Any]:
    """Medians over rounds of what all processes did together, and their ratios."""

    def rate(name: str) -> dict[str, Any]:
        rounds = [sum(rate for rate, _ in windows) for windows in zip(*(process[name] for process in processes), strict=True)]
        cpu_ms = statistics.median(cpu for process in processes for _, cpu in process[name])
        return {"samples_per_s": statistics.median(rounds), "rounds": rounds, "cpu_ms_of_training_process": cpu_ms}

    loader = [{"workers": number} | rate(f"loader {number}") for number in plan.workers]
    step, together = rate("step"), rate("together")
    found: dict[str, Any] = {
        "loader": [row | {"ratio_to_step": row["samples_per_s"] / step["samples_per_s"]} for row in loader],
        "step": step,
        "together": together | {"workers": plan.workers[-1]},
    }
    steps = {"measured": step["samples_per_s"]} | {f"of {given:g} samples/s": given for given in given_rates}
    found["ratios"] = {
        name: {str(row["workers"]): row["samples_per_s"] / of_step for row in loader} for name, of_step in steps.items()
    }
    alone = next((row["cpu_ms_of_training_process"] for row in loader if row["workers"] == 0), None)
    if alone is not None:
        scaled = CORES * 1e3 / alone
        found["extrapolated"] = {
            "note": f"Not measured: {CORES} cores, each as quick as the one that read without workers, by its CPU time.",
            "workers": CORES,
            "samples_per_s": scaled,
            "ratios": {name: scaled / of_step for name, of_step in steps.items()},
        }
    return found


def table(found: dict[str, Any]) -> str:
    """What was found, for a terminal: rates, and the loader's for one of each step's."""
    rows = [(f"loader, {row['workers']} workers", row) for row in found["loader"]]
    rows += [("step", found["step"]), (f"together, {found['together']['workers']} workers", found["together"])]
    lines = [f"{'':36s}{'samples/s':>10s}{'CPU ms a sample':>18s}   (CPU: of a training process, without its workers)"]
    lines += [f"{name:36s}{row['samples_per_s']:10.4g}{row['cpu_ms_of_training_process']:18.4g}" for name, row in rows]
    if "extrapolated" in found:
        lines.append(f"{f'loader, {CORES} workers (extrapolated)':36s}{found['extrapolated']['samples_per_s']:10.1f}")
    for name, ratios in found["ratios"].items():
        parts = [f"{ratio:.2f} with {workers} workers" for workers, ratio in ratios.items()]
        if "extrapolated" in found:
            parts.append(f"{found['extrapolated']['ratios'][name]:.2f} with {CORES} (extrapolated)")
        lines.append(f"loader / step {name}: {', '.join(parts)}")
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", choices=sorted(RUN_FILES), default="nano")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, nargs="+", help="loaders to time; the last one feeds the trainer")
    parser.add_argument("--source", default="synthetic", help="synthetic, or the folder of a feature cache")
    parser.add_argument("--scenes", type=int, default=128, help="synthetic scenes (default %(default)s)")
    parser.add_argument("--batch-size", type=int, help="of each process (default: the training file's)")
    parser.add_argument("--batches", type=int, default=20, help="timed in every window (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step-samples-per-s", type=float, nargs="*", default=[], metavar="RATE")
    parser.add_argument("--out", type=Path, help="JSON file (default: docs/benchmarks/training-<preset>-<device>.json)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    args = parser.parse_intermixed_args(arguments)
    if args.workers is None:
        args.workers = [0, 1, 2, 4, 8, CORES - 1] if args.device == "cuda" else [0]
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    if args.device == "cuda" and not torch.cuda.is_available():
        print("This machine has no GPU that torch can use. Leave --device out.", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    config = configured(args)
    plan = Rounds(workers=tuple(args.workers), rounds=args.rounds, batches=args.batches)
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        cache = open_cache(args.source, config, args.scenes, Path(folder) / "features")
        size = sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file())
        processes = measure(config, cache, ANCHORS, plan, Path(folder))
    found = {
        "preset": args.preset,
        "precision": config.precision,
        "processes": config.devices,
        "threads_of_each": config.threads,
        "batch_size_of_each": config.data.batch_size,
        "source": cache.spec.source,
        "scenes": len(cache),
        "bytes_of_a_scene": round(size / len(cache)),
    } | summary(processes, plan, args.step_samples_per_s)
    device = torch.device(args.device)
    found["environment"] = describe_environment(device, date=datetime.now(UTC), arguments=sys.argv)
    out = args.out or REPOSITORY / "docs" / "benchmarks" / f"training-{args.preset}-{args.device}.json"
    write_json(out, found)
    print(table(found))
    print(f"wrote '{out}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
