"""What a run hands on: the averaged weights of its best validation as a planner that loads, and how they came about."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffdrive.configuration import to_mapping
from diffdrive.files import written_aside
from diffdrive.model import PlannerModel
from diffdrive.model.checkpoint import save_checkpoint
from diffdrive.training.config import TrainingConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.ego_status_mlp import EgoStatusMLPTraining, fit_ego_status_mlp
from diffdrive.training.engine.run_folder import RunFolder
from diffdrive.training.engine.whole_state import load_whole_state, whole_state
from diffdrive.training.lightning_module import PlannerLightningModule


def take_checkpoint(module: PlannerLightningModule, folder: RunFolder) -> None:
    """Give ``module`` the weights and the average of ``best.ckpt``, where there is one. Every process must call this."""
    if not folder.best.is_file():
        return
    saved = torch.load(folder.best, map_location="cpu", weights_only=False)
    load_whole_state(module, saved["state_dict"])
    module.on_load_checkpoint(saved)
    if module.average is not None:
        module.average.to(module.device)


def averaged_state(module: PlannerLightningModule) -> dict[str, Tensor]:
    """The network's weights as validation uses them, whole. Every process must call this."""
    with module.averaged_weights():
        return whole_state(module.model)


def export(
    config: TrainingConfig,
    folder: RunFolder,
    module: PlannerLightningModule,
    data: PlannerDataModule,
    weights: dict[str, Tensor],
    metrics: dict[str, float],
) -> dict[str, float]:
    """Write ``export/`` and return ``metrics`` with those of the blind baseline, where it was asked for."""
    metadata = {"name": config.name, "validation": metrics}
    save_checkpoint(folder.export, plain_model(module.model, weights), metadata, half=config.half_precision_export)
    if config.with_ego_status_mlp:
        blind = fit_ego_status_mlp(data.cache, data.split, training=EgoStatusMLPTraining(seed=config.seed))
        blind.model.save(folder.export)
        metrics = metrics | {"ego_status_mlp_ade": blind.ade, "ego_status_mlp_fde": blind.fde}
    steps = {"steps": int(module.global_step), "epochs": int(module.current_epoch), "skipped_steps": module.guard.num_skipped}
    written = {"data.json": _recipe(config, data), "metrics.json": {"validation": metrics, **steps}}
    for name, content in written.items():
        with written_aside(folder.export / name) as aside:
            aside.write_text(json.dumps(content, indent=2) + "\n")
    return metrics


def plain_model(model: PlannerModel, weights: dict[str, Tensor]) -> PlannerModel:
    """A whole copy of ``model`` on the CPU with other ``weights``, for evaluation."""
    copy = PlannerModel(model.config, weights["anchors"].cpu())
    copy.load_state_dict({name: tensor.cpu().contiguous() for name, tensor in weights.items()})
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
