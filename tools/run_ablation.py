"""Train and measure the paper's ablations, and write the table. Whatever is finished is kept: run it again to go on.

diffdrive world generate --out out/world/train --towns 28 --seed 0 --split train --workers 2
diffdrive world generate --out out/world/test --benchmark test --workers 2
python tools/run_ablation.py --train out/world/train --test out/world/test --out out/ablation

1. perception/<name>-<seed>/     end-to-end trainings whose perception is then frozen (`diffdrive train`, two processes),
                                 unless the plan names a trained planner
2. encoded/<name>-<seed>/        what it makes of the training scenes
3. rows/<row>/<seed>/            every row's decoder, trained on that: a whole planner
4. measured/<row>-<seed>.npz     scores, displacement and diversity, one value a test scene
5. table.json, table.md
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ablation_data import TestSet, test_set
from ablation_measure import Measured, jumps_called, measure, measure_fixed, milliseconds
from ablation_plan import AblationPlan, Row, load_plan
from ablation_table import Line, line, markdown
from ablation_train import REPORT, DecoderJob, train_decoder

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.model.checkpoint import load_checkpoint, num_parameters
from diffdrive.training.config import SourceConfig, TrainingConfig, load_training_config
from diffdrive.training.ego_status_mlp import EgoStatusMLPTraining, fit_ego_status_mlp
from diffdrive.training.encoded_scenes import encode_into, encode_scenes
from diffdrive.training.fit import open_cache
from diffdrive.training.split import split_rows

FIXED = {"constant_velocity": "constant velocity", "ego_status_mlp": "ego-status MLP", "human": "human driver (the log)"}
SIMPLE_SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A plan and where everything lies."""

    plan: AblationPlan
    out: Path
    test: SourceConfig
    split: str
    overrides: tuple[str, ...]
    """Of every training: where the data are."""

    workers: int
    """Decoders trained side by side."""

    device: str
    """cpu or cuda: where decoders are trained and scenes encoded."""

    def config(self, file: Path | str, *more: str) -> TrainingConfig:
        return load_training_config(self.plan.path(file), [*self.overrides, *more])

    @property
    def scenes(self) -> TrainingConfig:
        """The run whose scenes everything is trained on."""
        return self.config(self.plan.scenes)

    def perception(self, name: str, seed: int) -> Path:
        if not self.plan.is_trained(name):
            return self.plan.path(self.plan.perceptions[name])
        return self.out / "perception" / f"{name}-{seed}" / "export"

    def encoded(self, name: str, seed: int) -> Path:
        return self.out / "encoded" / f"{name}-{seed}"

    def planner(self, row: Row, seed: int) -> Path:
        if row.planner is not None:
            return self.plan.path(row.planner)
        return self.out / "rows" / (row.trained_as or row.name) / str(seed)

    def measured(self, name: str, seed: int) -> Path:
        return self.out / "measured" / f"{name}-{seed}.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/ablation/nano.yaml"))
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="logs to train on")
    parser.add_argument("--test", type=Path, required=True, metavar="DIR", help="logs of the benchmark's split")
    parser.add_argument("--split", default="test", help="of the benchmark (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/ablation"))
    parser.add_argument("--sensors", type=Path, metavar="DIR", help="rendered sensors of the training logs, kept")
    parser.add_argument("--test-sensors", type=Path, metavar="DIR", help="rendered sensors of the test logs, kept")
    parser.add_argument("--workers", type=int, default=2, help="decoders trained at the same time (default %(default)s)")
    parser.add_argument("--minutes", type=float, help="begin nothing new after this time")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of every training")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The run files are for two processes on a CPU; one GPU takes the same step in one batch.
    on_gpu = ("accelerator=gpu", "devices=1", "data.batch_size=32", "threads=null") if device == "cuda" else ()
    data = [f"data.source.root={args.train}", "data.source.stride_s=1.0", f"data.cache={args.out / 'features'}"]
    if args.sensors:
        data.append(f"data.source.render_cache={args.sensors}")
    ablation = Ablation(
        plan=load_plan(args.config),
        out=args.out,
        test=SourceConfig(root=args.test, render_cache=args.test_sensors),
        split=args.split,
        overrides=(*data, *on_gpu, *args.overrides),
        workers=args.workers if device == "cpu" else 1,
        device=device,
    )
    deadline = float("inf") if args.minutes is None else time.monotonic() + 60 * args.minutes
    try:
        run(ablation, deadline)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error


def run(ablation: Ablation, deadline: float) -> None:
    """Perception by perception, so that everything that can be compared early is there early."""
    for name, seed in ablation.plan.perception_runs:
        if time.monotonic() > deadline:
            break
        train_perception(ablation, name, seed)
        decoders = ((row, s) for row, s in ablation.plan.trainings if ablation.plan.perception_run(row, s) == (name, seed))
        jobs = [job_of(ablation, row, s) for row, s in decoders]
        if all(job.is_done for job in jobs):
            continue
        encode_training_scenes(ablation, name, seed)
        train_decoders(jobs, ablation.workers, deadline)
    test = test_set(ablation.scenes, ablation.test, ablation.split, ablation.out / "prepared", ablation.workers)
    measure_rows(ablation, test)
    measure_simple(ablation, test)
    write_table(ablation, test)


def train_perception(ablation: Ablation, name: str, seed: int) -> None:
    """By the command that users have, in a process of its own: it starts the other processes of the training itself."""
    export = ablation.perception(name, seed)
    if (export / "metrics.json").is_file() or not ablation.plan.is_trained(name):
        return
    print(f"perception {name}, seed {seed}", flush=True)
    folder, config = export.parent, ablation.plan.path(ablation.plan.perceptions[name])
    command = [
        sys.executable, "-m", "diffdrive.cli.main", "train", "--config", str(config),
        *ablation.overrides, f"seed={seed}", f"name={folder.name}", f"output={folder.parent}", "progress_bar=false",
    ]  # fmt: skip
    last = folder / "checkpoints" / "last.ckpt"
    if last.is_file():
        command += ["--resume", str(last)]
    subprocess.run(command, check=True)


def encode_training_scenes(ablation: Ablation, name: str, seed: int) -> None:
    """What the perception sees of the training and the validation scenes, once for all rows."""
    config, folder = ablation.scenes, ablation.encoded(name, seed)
    cache = open_cache(config)
    split = split_rows(cache.locations, cache.log_names, config.data, seed=config.seed)
    model = load_checkpoint(ablation.perception(name, seed)).to(ablation.device)
    torch.set_num_threads(ablation.workers)
    for part, rows in (("train", split.train), ("held", split.validation)):
        if not (folder / part).is_dir():
            print(f"encoding {len(rows)} scenes for perception {name}, seed {seed}", flush=True)
            encode_into(folder / part, model, cache, rows)


def job_of(ablation: Ablation, row: Row, seed: int) -> DecoderJob:
    return DecoderJob(
        name=row.name,
        variant=ablation.plan.path(row.variant),
        perception=ablation.perception(*ablation.plan.perception_run(row, seed)),
        encoded=ablation.encoded(*ablation.plan.perception_run(row, seed)),
        decoder=ablation.plan.decoder,
        seed=seed,
        out=ablation.planner(row, seed),
        device=ablation.device,
    )


def train_decoders(jobs: Sequence[DecoderJob], workers: int, deadline: float) -> None:
    """Side by side, one thread each."""
    waiting = [job for job in jobs if not job.is_done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        running: set[Future[str]] = set()
        while waiting or running:
            while waiting and len(running) < workers and time.monotonic() < deadline:
                running.add(pool.submit(train_decoder, waiting.pop(0)))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                print(future.result(), flush=True)


def measure_rows(ablation: Ablation, test: TestSet) -> None:
    """Every trained row that is not measured yet; perception by perception, as encoding the scenes takes the most."""
    for run in ablation.plan.perception_runs:
        wanted = [
            (row, seed)
            for row in ablation.plan.rows
            for seed in row.seeds
            if ablation.plan.perception_run(row, seed) == run
            and (row.planner is not None or (ablation.planner(row, seed) / REPORT).is_file())
            and not ablation.measured(row.name, seed).is_file()
        ]
        if not wanted:
            continue
        perception = load_checkpoint(ablation.perception(*run))
        seen = encode_scenes(perception, test.cache, np.arange(len(test.cache)), half=False)
        for row, seed in wanted:
            found = measure(ablation.planner(row, seed), jumps_called(row.jumps), test, seen)
            found.save(ablation.measured(row.name, seed))
            print(f"{row.name}, seed {seed}: PDMS {100 * found.values['pdms'].mean():.1f}", flush=True)


def measure_simple(ablation: Ablation, test: TestSet) -> None:
    """What plans without cameras: constant velocity, the human, and the ego-status MLP fitted to the same scenes."""
    driven = test.answers["human"]
    for name, poses in test.answers.items():
        if not ablation.measured(name, 0).is_file():
            measure_fixed(test, poses, driven).save(ablation.measured(name, 0))
    config = ablation.scenes
    cache = open_cache(config)
    split = split_rows(cache.locations, cache.log_names, config.data, seed=config.seed)
    for seed in range(SIMPLE_SEEDS):
        if not ablation.measured("ego_status_mlp", seed).is_file():
            model = fit_ego_status_mlp(cache, split, training=EgoStatusMLPTraining(seed=seed)).model
            with torch.inference_mode():
                poses = model(torch.from_numpy(np.array(test.cache.column("status")))).numpy()
            measure_fixed(test, poses, driven).save(ablation.measured("ego_status_mlp", seed))


def write_table(ablation: Ablation, test: TestSet) -> None:
    """Of all that is measured so far."""
    plan, logs = ablation.plan, [scene.log_name for scene in test.scenes]
    by_row = {row.name: _measured(ablation, row.name, row.seeds) for row in plan.rows}
    rows = [row for row in plan.rows if by_row[row.name]]
    models = {row.name: load_checkpoint(ablation.planner(row, min(by_row[row.name]))) for row in rows}
    torch.set_num_threads(ablation.workers)
    times = milliseconds([(models[row.name], jumps_called(row.jumps)) for row in rows], test)
    lines: list[Line] = []
    for row, taken in zip(rows, times, strict=True):
        lines.append(
            line(
                row, by_row[row.name], by_row[row.compared_with or plan.baseline], logs,
                parameters=num_parameters(models[row.name]), milliseconds=taken, training_minutes=_minutes(ablation, row),
            )
        )  # fmt: skip
    for name, title in FIXED.items():
        row = Row(name=name, title=title)
        lines.append(line(row, _measured(ablation, name, range(SIMPLE_SEEDS)), by_row[plan.baseline], logs))
    with written_aside(ablation.out / "table.json") as aside:
        aside.write_text(json.dumps([each.as_json() for each in lines], indent=2) + "\n")
    with written_aside(ablation.out / "table.md") as aside:
        aside.write_text(markdown(lines))
    print(markdown(lines))


def _measured(ablation: Ablation, name: str, seeds: Iterable[int]) -> dict[int, Measured]:
    return {seed: Measured.load(path) for seed in seeds if (path := ablation.measured(name, seed)).is_file()}


def _minutes(ablation: Ablation, row: Row) -> float | None:
    reports = [path for seed in row.seeds if (path := ablation.planner(row, seed) / REPORT).is_file()]
    return float(np.mean([json.loads(path.read_text())["minutes"] for path in reports])) if reports else None


if __name__ == "__main__":
    main()
