"""Train the blind baseline on the scenes of a feature cache: same split as the planner, no sensors, seconds of work."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.baselines import EgoStatusMLP, EgoStatusMLPConfig
from diffdrive.training.cache import FeatureCache
from diffdrive.training.split import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoStatusMLPTraining:
    """Adam on the L1 distance of poses, the rate following half a cosine to zero."""

    epochs: int = 60
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EgoStatusMLPResult:
    """The network of the epoch that did best."""

    model: EgoStatusMLP
    ade: float
    """Mean displacement on the validation rows (on the training rows where there are none), metres."""

    fde: float
    """Likewise, of the last pose."""


def fit_ego_status_mlp(
    cache: FeatureCache, split: Split, *, config: EgoStatusMLPConfig | None = None, training: EgoStatusMLPTraining | None = None
) -> EgoStatusMLPResult:
    """Train on ``split.train``, keep the epoch with the smallest displacement on ``split.validation``."""
    recipe = training or EgoStatusMLPTraining()
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = EgoStatusMLP(config or EgoStatusMLPConfig(targets=cache.spec.targets))
    status, poses = _rows(cache, split.train)
    held = _rows(cache, split.validation if len(split.validation) else split.train)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    best, kept = (math.inf, math.inf), model.state_dict()
    for epoch in range(recipe.epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * recipe.lr * (1.0 + math.cos(math.pi * epoch / recipe.epochs))
        for rows in torch.randperm(len(status), generator=generator).split(recipe.batch_size):
            optimizer.zero_grad()
            F.l1_loss(model(status[rows]), poses[rows]).backward()
            optimizer.step()
        errors = _displacements(model, *held)
        if errors < best:
            best, kept = errors, {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(kept)
    return EgoStatusMLPResult(model.eval(), *best)


def _rows(cache: FeatureCache, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(cache.column("status")[rows]), torch.from_numpy(cache.column("trajectory")[rows])


@torch.no_grad()
def _displacements(model: EgoStatusMLP, status: Tensor, poses: Tensor) -> tuple[float, float]:
    distance = (model(status)[..., :2] - poses[..., :2]).norm(dim=-1)
    return float(distance.mean()), float(distance[:, -1].mean())
