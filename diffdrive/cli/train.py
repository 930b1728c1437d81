"""``diffdrive train``: build the feature cache where it is missing, then train, validate and export a planner.

Exit status, beside that of every verb: 1 training had begun and cannot go on, 75 stopped by SIGUSR1 (start the same command
again with --resume auto), 143 stopped by SIGTERM, 130 by Ctrl-C. The run's folder can be resumed after each of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffdrive.training.cache import FeatureCache
    from diffdrive.training.config import TrainingConfig
    from diffdrive.training.fit import FitResult


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "train", help="train a planner", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, help="YAML file, for example configs/training/nano.yaml")
    parser.add_argument(
        "--resume",
        metavar="CKPT",
        help="continue the run that wrote this .ckpt file; 'auto' takes the newest good one of the run's folder, "
        "or begins where there is none",
    )
    parser.add_argument("--cache-only", action="store_true", help="build the feature cache and stop")
    parser.add_argument("--dry-run", action="store_true", help="say what would be built or trained, and stop")
    parser.add_argument("--workers", type=int, default=2, help="processes that build the cache (default %(default)s)")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="build the cache on the Ray cluster at ADDRESS; 'local' starts one on this machine",
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for example optimizer.lr=0.0003 epochs=5")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from diffdrive.training.cache import ray_cluster
    from diffdrive.training.config import load_training_config
    from diffdrive.training.engine.devices import launch_of_this_process
    from diffdrive.training.engine.features import features_to_build
    from diffdrive.training.engine.outcomes import InterruptedTrainingError, TrainingError
    from diffdrive.training.fit import fit, open_cache

    config = load_training_config(args.config, args.overrides)
    if args.dry_run and (missing := features_to_build(config)) is not None:
        print(f"features  {missing.num_scenes} scenes to build, about {missing.num_bytes / 1e6:.0f} MB, '{missing.folder}'")
        print("--cache-only builds them; then --dry-run tells of the split and the steps too")
        return 0
    start = time.monotonic()
    crew = None if args.ray is None else ray_cluster(None if args.ray == "local" else args.ray)
    cache = open_cache(config, workers=args.workers, crew=crew, progress=_progress(config.progress_bar))
    if launch_of_this_process().rank == 0:
        _announce(config, cache, time.monotonic() - start, only_cache=args.cache_only)
    if args.cache_only or args.dry_run:
        return 0
    try:
        result = fit(config, cache, resume=args.resume)
    except InterruptedTrainingError as stop:
        print(f"diffdrive: {stop}", file=sys.stderr)
        return stop.status
    except TrainingError as error:
        print(f"diffdrive: training failed: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if result is not None:
        _report(result, time.monotonic() - start)
    return 0


def _announce(config: TrainingConfig, cache: FeatureCache, elapsed_s: float, *, only_cache: bool) -> None:
    from diffdrive.training.data_module import PlannerDataModule
    from diffdrive.training.engine.outline import RunOutline

    size = cache.num_bytes / 1e6
    print(f"features  {len(cache)} scenes, {size:.0f} MB, '{cache.folder}' ({elapsed_s:.0f} s)", flush=True)
    if not only_cache:
        data = PlannerDataModule(cache, config.data, seed=config.seed, accumulate=config.accumulate)
        print("\n".join(RunOutline.of(config, data).lines()), flush=True)


def _report(result: FitResult, elapsed_s: float) -> None:
    width = max(9, *(len(name) for name in result.metrics)) if result.metrics else 9
    for name, value in result.metrics.items():
        print(f"{name:<{width}} {value:.3f}")
    print(f"planner   '{result.export}' ({elapsed_s / 60:.1f} min)")


def _progress(is_shown: bool) -> Callable[[int, int], None] | None:
    if not is_shown:
        return None
    start = time.monotonic()

    def show(done: int, total: int) -> None:
        minutes = (time.monotonic() - start) / 60
        end = "\n" if done == total else ""
        print(f"\rfeatures  {done}/{total} scenes, {minutes:.1f} min", end=end, file=sys.stderr, flush=True)

    return show
