"""Lightning's trainer for one start of a run, with everything that watches it."""

from __future__ import annotations

from datetime import timedelta

from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import OnBadScene, TrainingConfig
from diffdrive.training.engine.checkpoint_file import CheckpointFile
from diffdrive.training.engine.checkpoints import Monitor, RunCheckpoints
from diffdrive.training.engine.devices import plugins_of, strategy_of
from diffdrive.training.engine.learning_curves import LearningCurves
from diffdrive.training.engine.loggers import loggers_of
from diffdrive.training.engine.pdms import ValidationPdms
from diffdrive.training.engine.plan_pictures import PlanPictures
from diffdrive.training.engine.run_folder import RunFolder
from diffdrive.training.lightning import pl
from diffdrive.training.loading import BadSceneReport
from diffdrive.training.split import Split


def trainer_of(config: TrainingConfig, folder: RunFolder, cache: FeatureCache, split: Split) -> pl.Trainer:
    """The trainer of one start."""
    has_validation = len(split.validation) > 0
    file = CheckpointFile()
    checkpoints = RunCheckpoints(
        folder,
        file,
        Monitor.of(config.validation.monitor) if has_validation else None,
        minutes=config.recording.checkpoint_minutes,
        ask_every_steps=config.recording.log_every_steps,
    )
    callbacks: list[pl.Callback] = []
    if config.data.on_bad_scene is OnBadScene.SKIP:
        callbacks.append(BadSceneReport(config.folder))
    if has_validation and config.validation.pdms_scenes:
        callbacks.append(ValidationPdms(config, cache, split.validation))
    if has_validation and config.validation.plan_images:
        callbacks.append(PlanPictures(folder, config, cache, split.validation))
    if config.progress_bar:
        callbacks.append(pl.callbacks.TQDMProgressBar(refresh_rate=5))
    return pl.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=strategy_of(config),
        plugins=[file, *plugins_of()],
        precision=config.precision,  # type: ignore[arg-type]
        max_epochs=config.epochs,
        max_steps=-1 if config.max_steps is None else config.max_steps,
        max_time=None if config.max_minutes is None else timedelta(minutes=config.max_minutes),
        accumulate_grad_batches=config.accumulate,
        check_val_every_n_epoch=config.validate_every_epochs,
        limit_val_batches=None if has_validation else 0,
        num_sanity_val_steps=0,
        callbacks=[*callbacks, checkpoints, LearningCurves(folder, config.name)],
        enable_checkpointing=False,
        logger=loggers_of(config, folder.next_log()),
        enable_progress_bar=config.progress_bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
        sync_batchnorm=config.sync_batchnorm,
        log_every_n_steps=config.recording.log_every_steps,
    )
