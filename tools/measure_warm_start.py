"""Warm starts against cold ones on consecutive frames: agreement between plans, and scores.

diffdrive world generate --out out/world/test --benchmark test --workers 2
python tools/measure_warm_start.py --logs out/world/test --out out/warm_start

Takes the benchmark's test logs with a cut-in and as many others as asked for, every half second. Plans never move the vehicle
here: it drives as the log's driver did. For a checkpoint that begins at noise it compares 20 cold steps with few warm ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ablation_data import TestSet, scene_set
from ablation_measure import scored
from warm_start_drives import Frame, Way, drives_of, overlap_errors, plan_drives

from diffdrive.assets import CHECKPOINTS
from diffdrive.benchmark.manifest import load_benchmark
from diffdrive.benchmark.tags import EventTag
from diffdrive.diffusion import CLEAN, DDIM, JUMP_TABLES, REFERENCE, JumpTable, noise_table
from diffdrive.evaluation import mean_interval
from diffdrive.files import written_aside
from diffdrive.model import PlannerModel
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.model.config import Prior
from diffdrive.runtime.envelope import SelectionConfig, WarmStartConfig
from diffdrive.training.config import SourceConfig, load_training_config
from diffdrive.training.encoded_scenes import encode_scenes
from diffdrive.world.source import WorldSource

FUTURE_S = 5.0
NEAR_CUT_IN_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What is planned."""

    test: TestSet
    drives: list[list[Frame]]
    logs: np.ndarray
    """[N] log of each row, a number."""

    is_cut_in: np.ndarray
    """[N] whether somebody cuts in within a second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=Path, required=True, metavar="DIR", help="logs of the benchmark's test split")
    parser.add_argument("--sensors", type=Path, metavar="DIR", help="their rendered sensors, kept")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINTS / "nano")
    parser.add_argument("--config", type=Path, default=Path("configs/training/nano.yaml"), help="run file: feature layout")
    parser.add_argument("--others", type=int, default=24, help="logs without a cut-in (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/warm_start"))
    args = parser.parse_args()
    source = SourceConfig(root=args.logs, render_cache=args.sensors)
    frames = _frames(source, args.config, args.others, args.out, args.workers)
    model = load_checkpoint(args.checkpoint)
    seen = encode_scenes(model, frames.test.cache, np.arange(len(frames.test.cache)), half=False)
    results = []
    reference: dict[str, np.ndarray] = {}
    for way in _ways(model):
        planned = plan_drives(model, seen, frames.drives, way)
        errors, flips = overlap_errors(planned.chosen, frames.drives, model.anchors.numpy())
        values = {**scored(frames.test.scenes, planned.chosen), "overlap_m": errors, "flips": flips}
        values["ade"] = np.linalg.norm(planned.chosen[..., :2] - seen.trajectory.numpy()[..., :2], axis=-1).mean(axis=-1)
        reference = reference or values
        results.append(_summary(way, values, reference, frames, float(planned.is_warm.mean())))
        print(_line(results[-1]), flush=True)
    name = f"{args.checkpoint.parent.name}-{args.checkpoint.name}" if args.checkpoint != CHECKPOINTS / "nano" else "nano"
    with written_aside(args.out / f"{name}.json") as aside:
        aside.write_text(json.dumps({"frames": len(seen), "drives": len(frames.drives), "ways": results}, indent=1) + "\n")


def _frames(source: SourceConfig, run_file: Path, others: int, out: Path, workers: int) -> Frames:
    benchmark = load_benchmark("test")
    cut_ins = {scene.token for scene in benchmark.scenes if EventTag.CUT_IN in scene.tags.events}
    logs_with = {_log(token) for token in cut_ins}
    without = sorted({_log(scene.token) for scene in benchmark.scenes} - logs_with)
    spread = {without[index] for index in np.linspace(0, len(without) - 1, others).astype(int)} if others else set()
    world = WorldSource(source.root or Path(), future_s=FUTURE_S, stride_s=source.stride_s)
    tokens = tuple(token for token in world.tokens if _log(token) in logs_with | spread)
    config = load_training_config(run_file, [f"data.cache={out / 'features'}"])
    test = scene_set(config, source, tokens, out / f"prepared-{len(tokens)}-{others}", workers)
    times = {log: [int(token.rpartition("-")[2]) for token in cut_ins if _log(token) == log] for log in logs_with}
    near = [
        any(abs(int(token.rpartition("-")[2]) - time) <= NEAR_CUT_IN_US for time in times.get(_log(token), ()))
        for token in tokens
    ]
    names = sorted({_log(token) for token in tokens})
    logs = np.array([names.index(_log(token)) for token in tokens])
    return Frames(test=test, drives=drives_of(world, tokens), logs=logs, is_cut_in=np.array(near))


def _log(token: str) -> str:
    return token.rpartition("-")[0]


def _ways(model: PlannerModel) -> Sequence[Way]:
    if model.config.prior is Prior.NOISE:
        cold = noise_table(20)
        few = [
            Way(
                name=f"warm, {steps} steps from level {level}",
                jumps=_warm_table(steps, level),
                cold_jumps=cold,
                warm=WarmStartConfig(),
            )
            for steps in (2, 3)
            for level in (60, 150, 300)
        ]
        return [
            Way(name="cold, 20 steps", jumps=cold),
            Way(name="cold, 3 steps", jumps=noise_table(3)),
            Way(name="cold, 2 steps", jumps=noise_table(2)),
            *few,
        ]
    one, held = JUMP_TABLES["reference-1"], SelectionConfig()
    warm = [
        Way(name=f"warm {num}, level {level}", jumps=REFERENCE, warm=WarmStartConfig(num_warm=num, level=level))
        for num in (1, 8, 16)
        for level in (0, 4, 8)
    ]
    return [
        Way(name="cold", jumps=REFERENCE),
        Way(name="cold, held", jumps=REFERENCE, selection=held),
        Way(name="cold, DDIM", jumps=DDIM),
        Way(name="cold, 1 step", jumps=one),
        *warm,
        Way(name="warm 1, level 4, held", jumps=REFERENCE, warm=WarmStartConfig(level=4), selection=held),
        Way(name="warm 1, level 4, DDIM", jumps=DDIM, warm=WarmStartConfig(level=4)),
        Way(name="warm 1, level 4, 1 step", jumps=one, warm=WarmStartConfig(level=4)),
        Way(name="warm 16, level 4, held", jumps=REFERENCE, warm=WarmStartConfig(num_warm=16, level=4), selection=held),
        Way(name="warm 1, 1 m aside", jumps=REFERENCE, warm=WarmStartConfig(level=4, max_departure_m=5.0), error=(1.0, 0.0)),
        Way(
            name="warm 1, 5 degrees",
            jumps=REFERENCE,
            warm=WarmStartConfig(level=4, max_departure_m=5.0),
            error=(0.0, np.radians(5.0)),
        ),
        Way(
            name="warm 16, 1 m aside",
            jumps=REFERENCE,
            warm=WarmStartConfig(num_warm=16, level=4, max_departure_m=5.0),
            error=(1.0, 0.0),
        ),
        Way(
            name="warm 16, 5 degrees",
            jumps=REFERENCE,
            warm=WarmStartConfig(num_warm=16, level=4, max_departure_m=5.0),
            error=(0.0, np.radians(5.0)),
        ),
    ]


def _warm_table(steps: int, start_level: int) -> JumpTable:
    """From a plan noised to ``start_level``: equal strides through the levels below."""
    levels = [round(start_level * left / steps) for left in range(steps, 0, -1)]
    return JumpTable(start_level=levels[0], jumps=tuple(zip(levels, [*levels[1:], CLEAN], strict=True)), clips_prediction=False)


def _summary(
    way: Way, values: dict[str, np.ndarray], reference: dict[str, np.ndarray], frames: Frames, warm_share: float
) -> dict[str, object]:
    logs = [str(log) for log in frames.logs]
    gain = mean_interval((values["pdms"] - reference["pdms"]).tolist(), np.random.default_rng(0), clusters=logs)
    return {
        "way": way.name,
        **{name: float(np.nanmean(each)) for name, each in values.items()},
        "pdms_gain": gain.mean,
        "pdms_gain_low": gain.low,
        "pdms_gain_high": gain.high,
        "cut_in_pdms": float(values["pdms"][frames.is_cut_in].mean()) if frames.is_cut_in.any() else None,
        "cut_in_overlap_m": float(np.nanmean(values["overlap_m"][frames.is_cut_in])) if frames.is_cut_in.any() else None,
        "warm_share": warm_share,
    }


def _line(row: dict[str, object]) -> str:
    numbers = {name: value for name, value in row.items() if isinstance(value, float)}
    return (
        f"{row['way']:<28} pdms {100 * numbers['pdms']:.1f} ({100 * numbers['pdms_gain']:+.1f}, "
        f"{100 * numbers['pdms_gain_low']:+.1f} .. {100 * numbers['pdms_gain_high']:+.1f})  "
        f"overlap {numbers['overlap_m']:.2f} m  flips {100 * numbers['flips']:.0f} %  ade {numbers['ade']:.2f} m  "
        f"warm {100 * numbers['warm_share']:.0f} %  cut-ins {100 * numbers.get('cut_in_pdms', float('nan')):.1f}"
    )


if __name__ == "__main__":
    main()
