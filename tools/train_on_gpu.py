"""Train a planner on one GPU within a given time, and bring back its weights and how fast it went.

diffdrive train --config configs/training/nano.yaml --cache-only      # beforehand, where the logs are: builds the features
python tools/train_on_gpu.py --features out/features/NAME --out "$OUT"

The clock drives the learning rate, so the run ends with a full cosine whatever the GPU; another machine gives other weights.
OUT gets export/ (a planner that `Planner.from_checkpoint` reads), log/ (learning curves' numbers) and gpu_training.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.training.config import load_training_config
from diffdrive.training.fit import FitResult, fit, open_cache

MARGIN_MINUTES = 1.0
"""For reading the features, compiling, validating and writing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="a finished feature cache")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--config", type=Path, default=Path("configs/training/nano.yaml"))
    parser.add_argument("--minutes", type=float, default=10.0, help="of the whole command (default %(default)s)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries the command out")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("error: there is no GPU that torch can use. Try the command out with --device cpu.")
    if args.minutes <= MARGIN_MINUTES:
        raise SystemExit(f"error: --minutes must be more than {MARGIN_MINUTES:g}, which starting and ending take.")
    try:
        train(args)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error


def train(args: argparse.Namespace) -> None:
    """One run in a folder that is thrown away; what is worth keeping is copied to ``args.out``."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_training_config(args.config, [*settings(args, Path(folder)), *args.overrides])
        cache = open_cache(config)
        start = time.monotonic()
        result = fit(config, cache)
        seconds = time.monotonic() - start
        if result is None:
            raise SystemExit("error: this tool trains in one process; set devices=1.")
        bring_back(result, args.out, described(args, config.global_batch_size, seconds, result))


def settings(args: argparse.Namespace, folder: Path) -> list[str]:
    """What a GPU wants of the run file: one process, one large batch, half precision, and the time that there is."""
    gpu = ["accelerator=gpu", "precision=bf16-mixed", "threads=null"] if args.device == "cuda" else ["accelerator=cpu"]
    return [
        *gpu, "devices=1", f"data.batch_size={args.batch_size}", f"data.features={args.features}", f"output={folder}",
        f"max_minutes={args.minutes - MARGIN_MINUTES}", "optimizer.anneal_by_time=true", "epochs=100000", "progress_bar=false",
    ]  # fmt: skip


def described(args: argparse.Namespace, batch: int, seconds: float, result: FitResult) -> dict[str, Any]:
    """Where it ran, how long and how fast; validation in it counts as training time."""
    steps = json.loads((result.export / "metrics.json").read_text())["steps"]
    return {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "config": str(args.config),
        "overrides": args.overrides,
        "batch_size": batch,
        "steps": steps,
        "seconds": seconds,
        "samples_per_s": steps * batch / seconds,
        "validation": result.metrics,
    }


def bring_back(result: FitResult, out: Path, report: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(result.export, out / "export", dirs_exist_ok=True)
    for log in sorted(path for path in result.folder.glob("log-*") if path.is_dir()):
        shutil.copytree(log, out / "log" / log.name, dirs_exist_ok=True)
    with written_aside(out / "gpu_training.json") as aside:
        aside.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
