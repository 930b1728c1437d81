"""A training run from a configuration to an exported checkpoint.

out/train/<name>/config.yaml              what ran
                 checkpoints/last.ckpt    resume from here
                 checkpoints/best.ckpt    smallest val/ade
                 log-0/metrics.csv        every logged number (log-1 after resuming)
                 anchors.npy, .json       when they were clustered for this run
                 export/                  the planner: weights, config, data recipe, metrics
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from diffdrive.anchors import AnchorSet, fit_anchors
from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.diffusion import BoxNormalizer
from diffdrive.files import written_aside
from diffdrive.model import PlannerConfig, PlannerModel, planner_config
from diffdrive.model.checkpoint import save_checkpoint
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.config import TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.decoder_stage import train_decoder
from diffdrive.training.ego_status_mlp import EgoStatusMLPTraining, fit_ego_status_mlp
from diffdrive.training.lightning import pl
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.scene_sources import open_source, source_identity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What a run left behind."""

    folder: Path
    export: Path
    """Folder that ``diffdrive.model.load_checkpoint`` reads."""

    metrics: dict[str, float]
    """On the validation maps: ade, fde, min_ade (metres), loss."""


def open_cache(config: TrainingConfig, *, workers: int = 1, progress: Callable[[int, int], None] | None = None) -> FeatureCache:
    """The features of the configured scenes, built first where they are not there yet."""
    planner = planner_config(config.preset, config.planner)
    if config.data.features is not None:
        return _finished_cache(config.data.features, planner)
    source = open_source(config.data.source)
    tokens = tuple(source.tokens)
    if config.data.max_scenes is not None and config.data.max_scenes < len(tokens):
        tokens = tuple(tokens[i] for i in np.linspace(0, len(tokens) - 1, config.data.max_scenes).astype(int))
    identity = source_identity(source, config.data.source)
    spec = CacheSpec(inputs=planner.inputs, targets=planner.targets, source=identity, tokens=tokens)
    return open_or_build(config.data.cache, spec, partial(open_source, config.data.source), workers=workers, progress=progress)


def _finished_cache(folder: Path, planner: PlannerConfig) -> FeatureCache:
    cache = FeatureCache(folder)
    cache.expect(replace(cache.spec, inputs=planner.inputs, targets=planner.targets))
    return cache


def fit(config: TrainingConfig, cache: FeatureCache, *, resume: Path | None = None) -> FitResult | None:
    """Train, keep the best weights, export them.

    ``resume`` is a ``.ckpt`` of this run. With ``devices`` > 1 Lightning starts this program once more per device; all but
    the first return None. Raises ``InputError`` for data, anchors or a checkpoint that do not fit.
    """
    if resume is not None and not resume.is_file():
        raise InputError(f"Checkpoint '{resume}' to resume from does not exist. Give a .ckpt file, e.g. checkpoints/last.ckpt.")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    data = PlannerDataModule(cache, config.data, seed=config.seed)
    if config.data.batch_size * config.devices > len(data.split.train):
        raise InputError(
            f"The training set has {len(data.split.train)} scenes, fewer than one batch of {config.data.batch_size} on "
            f"{config.devices} devices. Lower data.batch_size or add scenes."
        )
    config.folder.mkdir(parents=True, exist_ok=True)
    planner, anchors = planner_and_anchors(config, cache, data.split.train)
    _write(config.folder / "config.yaml", yaml.safe_dump(to_mapping(config), sort_keys=False))
    steps = len(data.split.train) // (config.data.batch_size * config.devices)
    module = PlannerLightningModule(config, planner, anchors, steps_per_epoch=steps)
    best, trainer = _trainer(config, has_validation=len(data.split.validation) > 0)
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=False)
    trainer.save_checkpoint(config.folder / "checkpoints" / "last.ckpt")
    metrics = _take_best(trainer, module, data, best)
    if config.decoder_stage.epochs:
        metrics |= _decoder_stage(config, trainer, module, data)
    return _export(config, module, data, metrics) if trainer.is_global_zero else None


def planner_and_anchors(config: TrainingConfig, cache: FeatureCache, rows: np.ndarray) -> tuple[PlannerConfig, Tensor]:
    planner = planner_config(config.preset, config.planner)
    anchors = AnchorSet.load(config.anchors) if config.anchors is not None else _clustered(config, planner, cache, rows)
    if "normalizer" not in config.planner:
        box = anchors.bounds
        normalizer = BoxNormalizer(x_min_m=box.x_min_m, x_max_m=box.x_max_m, y_min_m=box.y_min_m, y_max_m=box.y_max_m)
        planner = replace(planner, normalizer=normalizer)
    return planner, torch.from_numpy(anchors.points.copy())


def _clustered(config: TrainingConfig, planner: PlannerConfig, cache: FeatureCache, rows: np.ndarray) -> AnchorSet:
    """Anchors of the scenes at ``rows``; those that an earlier process made of the same scenes are taken again."""
    kept = config.folder / "anchors.npy"
    scenes = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:8]
    source = f"{cache.spec.source}, {len(rows)} training scenes (cache {cache.spec.key[:12]}, rows {scenes})"
    if kept.is_file():
        anchors = AnchorSet.load(kept)
        if (anchors.source, anchors.num_modes, anchors.seed) == (source, planner.num_modes, config.seed):
            return anchors
    driven = cache.column("trajectory")[rows]
    anchors = fit_anchors(driven, planner.num_modes, config.seed, source, planner.targets.interval_s)
    anchors.save(kept)
    return anchors


def _trainer(config: TrainingConfig, *, has_validation: bool) -> tuple[pl.callbacks.ModelCheckpoint | None, pl.Trainer]:
    folder = config.folder / "checkpoints"
    last = pl.callbacks.ModelCheckpoint(
        folder, "last", save_top_k=1, enable_version_counter=False, save_on_train_epoch_end=True
    )
    best = pl.callbacks.ModelCheckpoint(folder, "best", monitor="val/ade", save_top_k=1, enable_version_counter=False)
    callbacks: list[pl.Callback] = [last, *([best] if has_validation else [])]
    if config.progress_bar:
        callbacks.append(pl.callbacks.TQDMProgressBar(refresh_rate=5))
    trainer = pl.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy="auto" if config.devices == 1 else "ddp",
        precision=config.precision,  # type: ignore[arg-type]
        max_epochs=config.epochs,
        max_steps=-1 if config.max_steps is None else config.max_steps,
        max_time=None if config.max_minutes is None else timedelta(minutes=config.max_minutes),
        gradient_clip_val=config.optimizer.gradient_clip_norm,
        check_val_every_n_epoch=config.validate_every_epochs,
        limit_val_batches=None if has_validation else 0,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=pl.loggers.CSVLogger(config.folder, name=None, version=f"log-{len(list(config.folder.glob('log-*')))}"),
        enable_progress_bar=config.progress_bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=10,
    )
    return (best if has_validation else None), trainer


def _take_best(
    trainer: pl.Trainer,
    module: PlannerLightningModule,
    data: PlannerDataModule,
    best: pl.callbacks.ModelCheckpoint | None,
) -> dict[str, float]:
    """Put the best weights seen into ``module`` and return their validation metrics."""
    if best is None:
        return {}
    if best.best_model_path:
        saved = torch.load(best.best_model_path, map_location="cpu", weights_only=False)
        module.load_state_dict(saved["state_dict"])
        module.on_load_checkpoint(saved)
    return _validate(trainer, module, data)


def _decoder_stage(
    config: TrainingConfig, trainer: pl.Trainer, module: PlannerLightningModule, data: PlannerDataModule
) -> dict[str, float]:
    """Continue with the decoder alone, from the averaged weights; every process computes the same. Returns new metrics."""
    with module.averaged_weights():
        # Each process has batch statistics of its own; the first one's count.
        start = trainer.strategy.broadcast({name: tensor.clone() for name, tensor in module.model.state_dict().items()})
    module.average = None
    module.model.load_state_dict(start)
    stage, rows = config.decoder_stage, data.split

    def report(epoch: int, ade: float) -> None:
        logger.info("decoder stage, epoch %d of %d: ADE %.3f m", epoch, stage.epochs, ade)

    train_decoder(
        module.model,
        data.cache,
        rows.train,
        rows.validation,
        stage,
        config.weights,
        seed=config.seed,
        report=report if trainer.is_global_zero else None,
    )
    return _validate(trainer, module, data) if len(rows.validation) else {}


def _validate(trainer: pl.Trainer, module: PlannerLightningModule, data: PlannerDataModule) -> dict[str, float]:
    (metrics,) = trainer.validate(module, datamodule=data, verbose=False)
    return {name.removeprefix("val/"): float(value) for name, value in metrics.items()}


def _export(
    config: TrainingConfig, module: PlannerLightningModule, data: PlannerDataModule, metrics: dict[str, float]
) -> FitResult:
    export = config.folder / "export"
    with module.averaged_weights():
        metadata = {"name": config.name, "validation": metrics}
        save_checkpoint(export, _plain_copy(module.model), metadata, half=config.half_precision_export)
    if config.with_ego_status_mlp:
        blind = fit_ego_status_mlp(data.cache, data.split, training=EgoStatusMLPTraining(seed=config.seed))
        blind.model.save(export)
        metrics = metrics | {"ego_status_mlp_ade": blind.ade, "ego_status_mlp_fde": blind.fde}
    _write(export / "data.json", json.dumps(_recipe(config, data), indent=2) + "\n")
    steps = {"steps": int(module.global_step), "epochs": int(module.current_epoch)}
    _write(export / "metrics.json", json.dumps({"validation": metrics, **steps}, indent=2) + "\n")
    return FitResult(folder=config.folder, export=export, metrics=metrics)


def _plain_copy(model: PlannerModel) -> PlannerModel:
    copy = PlannerModel(model.config, model.anchors.cpu())
    copy.load_state_dict({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()})
    return copy.eval()


def _recipe(config: TrainingConfig, data: PlannerDataModule) -> dict[str, Any]:
    """What the weights were made from."""
    places = np.array(data.cache.locations)
    return {
        "source": data.cache.spec.source,
        "cache_key": data.cache.spec.key,
        "training_scenes": len(data.split.train),
        "training_locations": sorted(set(places[data.split.train].tolist())),
        "validation_scenes": len(data.split.validation),
        "validation_locations": sorted(set(places[data.split.validation].tolist())),
        "excluded_locations": list(config.data.exclude_locations),
        "training": to_mapping(config),
    }


def _write(path: Path, text: str) -> None:
    with written_aside(path) as aside:
        aside.write_text(text)
