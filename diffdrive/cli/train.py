"""``diffdrive train``: build the feature cache where it is missing, then train, validate and export a planner."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("train", help="train a planner", description=__doc__)
    parser.add_argument("--config", type=Path, help="YAML file, for example configs/training/nano.yaml")
    parser.add_argument("--resume", type=Path, metavar="CKPT", help="continue the run that wrote this .ckpt file")
    parser.add_argument("--cache-only", action="store_true", help="build the feature cache and stop")
    parser.add_argument("--workers", type=int, default=2, help="processes that build the cache (default %(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for example optimizer.lr=0.0003 epochs=5")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from diffdrive.training.config import load_training_config
    from diffdrive.training.fit import fit, open_cache

    config = load_training_config(args.config, args.overrides)
    start = time.monotonic()
    cache = open_cache(config, workers=args.workers, progress=_progress(config.progress_bar))
    size = cache.num_bytes / 1e6
    print(f"features  {len(cache)} scenes, {size:.0f} MB, '{cache.folder}' ({time.monotonic() - start:.0f} s)")
    if args.cache_only:
        return 0
    result = fit(config, cache, resume=args.resume)
    if result is None:
        return 0
    for name, value in result.metrics.items():
        print(f"{name:<9} {value:.3f}")
    print(f"planner   '{result.export}' ({(time.monotonic() - start) / 60:.1f} min)")
    return 0


def _progress(is_shown: bool) -> Callable[[int, int], None] | None:
    if not is_shown:
        return None
    start = time.monotonic()

    def show(done: int, total: int) -> None:
        minutes = (time.monotonic() - start) / 60
        end = "\n" if done == total else ""
        print(f"\rfeatures  {done}/{total} scenes, {minutes:.1f} min", end=end, file=sys.stderr, flush=True)

    return show
