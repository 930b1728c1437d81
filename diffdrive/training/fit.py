"""A training run from a configuration to an exported checkpoint. ``engine.run_folder`` says what it leaves where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import Strategy, TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.engine.devices import check_launch, launch_of_this_process
from diffdrive.training.engine.export import averaged_state, export, take_checkpoint
from diffdrive.training.engine.features import open_cache
from diffdrive.training.engine.network import planner_and_anchors
from diffdrive.training.engine.outcomes import InterruptedTrainingError, failures_explained
from diffdrive.training.engine.run_folder import RunFolder
from diffdrive.training.engine.sharding import ShardedPlannerModule, check_resumable
from diffdrive.training.engine.stages import teach_scores, train_decoder
from diffdrive.training.engine.trainer import trainer_of
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule

__all__ = ["FitResult", "fit", "open_cache", "planner_and_anchors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What a run left behind."""

    folder: Path
    export: Path
    """Folder that ``diffdrive.model.load_checkpoint`` reads."""

    metrics: dict[str, float]
    """On the validation scenes: ade, fde, min_ade (metres), loss, and what ``validation`` asked for."""


def fit(config: TrainingConfig, cache: FeatureCache, *, resume: Path | str | None = None) -> FitResult | None:
    """Train, keep the best weights, export them.

    ``resume`` is a ``.ckpt`` of this run, or ``"auto"`` for the newest good one of the run's folder. Of several processes all
    but the first return None. Raises ``InputError`` for data, anchors or a checkpoint that do not fit, and where starting
    would overwrite another run; ``TrainingError`` (an ``InputError``) where training cannot go on;
    ``InterruptedTrainingError`` after a signal.
    """
    check_launch(config)
    config = config.resolved
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    folder = RunFolder(config.folder)
    start = folder.start_from(config, resume)
    if start is not None and config.strategy is Strategy.FSDP:
        check_resumable(start)
    data = PlannerDataModule(cache, config.data, seed=config.seed, accumulate=config.accumulate)
    steps = data.train_order(0, config.processes).steps_per_epoch
    planner, anchors = planner_and_anchors(config, cache, data.split.train)
    sort = ShardedPlannerModule if config.strategy is Strategy.FSDP else PlannerLightningModule
    module = sort(config, planner, anchors, steps_per_epoch=steps)
    if launch_of_this_process().rank == 0:
        folder.begin(config)
    trainer = trainer_of(config, folder, cache, data.split)
    try:
        with failures_explained(folder.last):
            trainer.fit(module, datamodule=data, ckpt_path=start, weights_only=False)
    except InterruptedTrainingError:
        # One process reports; the exit status of another would make Lightning kill this one.
        if trainer.is_global_zero:
            raise
        return None
    return _finish(config, folder, trainer, module, data)


def _finish(
    config: TrainingConfig, folder: RunFolder, trainer: pl.Trainer, module: PlannerLightningModule, data: PlannerDataModule
) -> FitResult | None:
    """Best weights, the stages after them, export."""
    metrics: dict[str, float] = {}
    if len(data.split.validation):
        take_checkpoint(module, folder)
        # What the best weights reach is not another step of the run.
        trainer.loggers = []
        metrics = _validate(trainer, module, data)
    if config.decoder_stage.is_used:
        train_decoder(config, trainer, module, data)
    if config.score_stage.is_used:
        teach_scores(config, trainer, module, data)
    if config.has_later_stage and len(data.split.validation):
        metrics |= _validate(trainer, module, data)
    weights = averaged_state(module)
    if not trainer.is_global_zero:
        return None
    metrics = export(config, folder, module, data, weights, metrics)
    return FitResult(folder=config.folder, export=folder.export, metrics=metrics)


def _validate(trainer: pl.Trainer, module: PlannerLightningModule, data: PlannerDataModule) -> dict[str, float]:
    (metrics,) = trainer.validate(module, datamodule=data, verbose=False)
    return {name.removeprefix("val/"): float(value) for name, value in metrics.items()}
