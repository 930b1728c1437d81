"""TransFuser's planning head (Chitta et al. 2022): one trajectory straight from the ego query. No diffusion."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from diffdrive.model.config import PlannerConfig
from diffdrive.model.scene_features import SceneFeatures
from diffdrive.tensors import LayerProposals


class RegressionDecoder(nn.Module):
    """One proposal, without a score. Takes what every decoder takes, and reads the ego query alone."""

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self.num_poses = config.targets.num_poses
        self.mlp = nn.Sequential(
            nn.Linear(config.dims, config.ffn_dims), nn.ReLU(), nn.Linear(config.ffn_dims, 3 * self.num_poses)
        )

    def forward(
        self, features: SceneFeatures, points: Tensor, level: int | Tensor, origins: Tensor | None = None
    ) -> tuple[LayerProposals, ...]:
        """One entry: poses [B, 1, T, 3] and a logit of zero."""
        return (self.propose(features.ego_query),)

    def propose(self, ego_query: Tensor) -> LayerProposals:
        """From the ego query [B, 1, D]."""
        raw = self.mlp(ego_query).unflatten(-1, (self.num_poses, 3))
        poses = torch.cat((raw[..., :2], torch.tanh(raw[..., 2:]) * math.pi), dim=-1)
        return LayerProposals(poses, torch.zeros_like(raw[..., 0, 0]))
