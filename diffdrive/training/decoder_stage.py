"""Train the decoder alone on perception that no longer moves.

Perception is most of a step's work, and what it says of a scene is the same in every epoch once it is frozen. So each scene is
encoded once, the queries and the BEV map stay in memory (half precision, about 0.25 MB a scene for nano), and the decoder
takes many cheap epochs over them, with new noise in each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffdrive.model import PlannerModel, SceneFeatures
from diffdrive.tensors import AgentPredictions
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import DecoderStageConfig, OptimizerConfig
from diffdrive.training.objectives import ObjectiveWeights, noisy_points, trajectory_losses
from diffdrive.training.optim import WeightAverage, build_optimizer

_ENCODE_BATCH = 32
_VALIDATION_SEED = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedScenes:
    """What the decoder reads of N scenes, and what was driven."""

    ego_query: Tensor
    """[N, 1, D] float16."""

    agent_queries: Tensor
    """[N, A, D] float16."""

    bev: Tensor
    """[N, D, H, W] float16."""

    trajectory: Tensor
    """[N, T, 3] float32."""

    def __len__(self) -> int:
        return len(self.trajectory)

    def features(self, model: PlannerModel, rows: Tensor) -> SceneFeatures:
        """As ``model.encode`` returns them, without the outputs that only perception's own losses read."""
        device = model.anchors.device
        bev = self.bev[rows].to(device).float()
        nothing = torch.empty(0)
        return SceneFeatures(
            ego_query=self.ego_query[rows].to(device).float(),
            agent_queries=self.agent_queries[rows].to(device).float(),
            bev=bev,
            agents=AgentPredictions(nothing, nothing),
            bev_logits=nothing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderStageResult:
    """Displacement errors on the validation scenes (on the training scenes where there are none), metres."""

    ade_before: float
    ade: float
    best_epoch: int


def train_decoder(
    model: PlannerModel,
    cache: FeatureCache,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    config: DecoderStageConfig,
    weights: ObjectiveWeights,
    *,
    seed: int,
    report: Callable[[int, float], None] | None = None,
) -> DecoderStageResult:
    """Improve ``model.decoder`` in place; it ends with the averaged weights of the epoch that validates best.

    ``report`` is told the number of each finished epoch and its ADE. Nothing else of the model changes. The start counts as
    an epoch: a stage that does not help leaves the model as it was.
    """
    scenes = encode_scenes(model, cache, train_rows)
    held = encode_scenes(model, cache, validation_rows) if len(validation_rows) else scenes
    generator = torch.Generator().manual_seed(seed)
    average = WeightAverage(model.decoder, config.ema_decay)
    recipe = OptimizerConfig(lr=config.lr, min_lr=config.min_lr, weight_decay=config.weight_decay)
    optimizer = build_optimizer(model.decoder, recipe)
    before = best = displacement(model, held)
    best_epoch, kept = 0, {name: tensor.clone() for name, tensor in model.decoder.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for dropout
        for epoch in range(1, config.epochs + 1):
            _one_epoch(model, scenes, optimizer, average, config, weights, epoch, generator)
            with average.applied_to(model.decoder):
                ade = displacement(model, held)
            if report is not None:
                report(epoch, ade)
            if ade < best:
                best, best_epoch, kept = ade, epoch, {name: tensor.clone() for name, tensor in average.state.items()}
    model.decoder.load_state_dict(kept)
    return DecoderStageResult(ade_before=before, ade=best, best_epoch=best_epoch)


@torch.no_grad()
def encode_scenes(model: PlannerModel, cache: FeatureCache, rows: np.ndarray) -> EncodedScenes:
    """Perception's view of the scenes at ``rows`` of the cache."""
    model.eval()
    parts = []
    for start in range(0, len(rows), _ENCODE_BATCH):
        batch = cache.batch(rows[start : start + _ENCODE_BATCH])
        seen = model.encode(batch.to(model.anchors.device).inputs(model.config.inputs))
        read = (seen.ego_query, seen.agent_queries, seen.bev)
        parts.append((*(tensor.half().cpu() for tensor in read), batch.trajectory))
    ego, agents, bev, trajectory = (torch.cat(columns) for columns in zip(*parts, strict=True))
    return EncodedScenes(ego_query=ego, agent_queries=agents, bev=bev, trajectory=trajectory)


@torch.no_grad()
def displacement(model: PlannerModel, scenes: EncodedScenes) -> float:
    """Mean distance (metres) between the chosen trajectory and the driven one; the same noise at every call."""
    model.eval()
    device = model.anchors.device
    generator = torch.Generator().manual_seed(_VALIDATION_SEED)
    total = 0.0
    for rows in torch.arange(len(scenes)).split(_ENCODE_BATCH):
        noise = torch.randn(len(rows), *model.config.noise_shape, generator=generator)
        result = model.denoise(scenes.features(model, rows), noise.to(device))[-1][-1]
        chosen = result.poses[torch.arange(len(rows)), result.logits.argmax(dim=1)]
        total += float((chosen - scenes.trajectory[rows].to(device))[..., :2].norm(dim=-1).mean(dim=1).sum())
    return total / len(scenes)


def _one_epoch(
    model: PlannerModel,
    scenes: EncodedScenes,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    config: DecoderStageConfig,
    weights: ObjectiveWeights,
    epoch: int,
    generator: torch.Generator,
) -> None:
    device = model.anchors.device
    model.decoder.train()
    batches = torch.randperm(len(scenes), generator=generator).split(config.batch_size)
    for index, rows in enumerate(batches):
        progress = (epoch - 1 + index / len(batches)) / config.epochs
        for group in optimizer.param_groups:
            group["lr"] = config.min_lr + 0.5 * (config.lr - config.min_lr) * (1.0 + math.cos(math.pi * progress))
        noise = torch.randn(len(rows), *model.config.noise_shape, generator=generator)
        levels = torch.randint(model.config.num_train_levels, (len(rows),), generator=generator)
        noise, levels, driven = noise.to(device), levels.to(device), scenes.trajectory[rows].to(device)
        layers = model.decode(scenes.features(model, rows), noisy_points(model, noise, levels), levels)
        losses = trajectory_losses(layers, driven, model.anchors, weights)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.decoder.parameters(), config.gradient_clip_norm)
        optimizer.step()
        average.update(model.decoder)
    model.eval()
