"""Time the loader alone, the step alone and both together, in turns, inside one ordinary run of Lightning's trainer.

The trainer's data are a generator that decides what the next batch is and reads the clock around many of them, so the three
share every disturbance of the machine, and the step is the one that users run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffdrive.anchors import AnchorSet
from diffdrive.model import planner_config
from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.config import DataConfig, TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.split import Split

AHEAD = 2  # batches that each worker reads ahead: a window begins when these are used up


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How much is measured."""

    workers: tuple[int, ...]
    """Each number gives a row of the loader's table; the last one feeds the trainer."""

    rounds: int
    batches: int
    """Timed in every window."""

    warm_up: int = 2
    """Batches before the first window of each round."""

    @property
    def settling(self) -> int:
        """Batches of a window before the clock is read."""
        return self.warm_up + AHEAD * max(self.workers)

    @property
    def steps(self) -> int:
        """Of the trainer, and batches that a loader may have to hand out: one more than are timed, so that the clock is read
        after the last of them."""
        return self.rounds * 2 * (self.batches + self.settling) + 1


class RoundsData(PlannerDataModule):
    """The training data of a measurement; writes ``rank-<rank>.json``, where each window is [samples a second, milliseconds of
    this process's CPU time for a sample]: busy neighbours change the second far less than the first."""

    def __init__(self, cache: FeatureCache, config: DataConfig, plan: Rounds, results: Path) -> None:
        super().__init__(cache, config, seed=0)
        self.plan, self.results = plan, results

    def train_dataloader(self) -> Any:
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("RoundsData belongs to a trainer.")
        count = self.plan.steps * self.config.batch_size * trainer.world_size
        self.split = Split(train=np.resize(np.arange(len(self.cache)), count), validation=np.arange(0))
        loaders = {}
        for number in self.plan.workers:
            self.config = replace(self.config, workers=number)
            loaders[number] = super().train_dataloader()
        return _Turns(loaders, self.plan, self.results / f"rank-{trainer.global_rank}.json", trainer.strategy.root_device)


class _Turns:
    def __init__(self, loaders: dict[int, Any], plan: Rounds, path: Path, device: torch.device) -> None:
        self.loaders, self.plan, self.path, self.device = loaders, plan, path, device

    def __len__(self) -> int:
        return self.plan.steps

    def __iter__(self) -> Iterator[PackedBatch]:
        plan = self.plan
        found: dict[str, list[tuple[float, float]]] = {
            name: [] for name in ("step", "together", *(f"loader {n}" for n in self.loaders))
        }
        streams = {number: iter(loader) for number, loader in self.loaders.items()}
        feeding = streams[plan.workers[-1]]
        kept = next(feeding)
        for _ in range(plan.rounds):
            for number, stream in streams.items():
                for _ in islice(stream, plan.warm_up + AHEAD * number):
                    pass
                start = self._now()
                samples = sum(len(batch) for batch in islice(stream, plan.batches))
                found[f"loader {number}"].append(self._speed(samples, start))
            for name, source in (("step", iter(lambda: kept, None)), ("together", feeding)):
                yield from islice(source, plan.settling)
                start = self._now()
                yield from islice(source, plan.batches)
                found[name].append(self._speed(plan.batches * len(kept), start))
        self.path.write_text(json.dumps(found))
        yield kept

    def _now(self) -> tuple[float, float]:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter(), time.process_time()

    def _speed(self, samples: int, start: tuple[float, float]) -> tuple[float, float]:
        wall_s, cpu_s = (now - then for now, then in zip(self._now(), start, strict=True))
        return samples / wall_s, 1e3 * cpu_s / samples


class _Threads(pl.Callback):
    def __init__(self, threads: int | None) -> None:
        self.threads = threads

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self.threads is not None:
            torch.set_num_threads(self.threads)


def measure(config: TrainingConfig, cache: FeatureCache, anchors: Path, plan: Rounds, results: Path) -> list[dict[str, Any]]:
    """The windows of every process, as ``RoundsData`` writes them."""
    planner = planner_config(config.preset, config.planner)
    points = torch.from_numpy(AnchorSet.load(anchors).points.copy())
    data = DataConfig(batch_size=config.data.batch_size, validation_fraction=0.0)
    module = PlannerLightningModule(config, planner, points, steps_per_epoch=plan.steps)
    trainer = pl.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy="auto" if config.devices == 1 else "ddp_spawn",
        precision=config.precision,  # type: ignore[arg-type]
        max_epochs=1,
        gradient_clip_val=config.optimizer.gradient_clip_norm,
        limit_val_batches=0,
        callbacks=[_Threads(config.threads)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, datamodule=RoundsData(cache, data, plan, results))
    return [json.loads((results / f"rank-{rank}.json").read_text()) for rank in range(config.devices)]
