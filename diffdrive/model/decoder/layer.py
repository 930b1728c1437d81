"""One layer of the cascade: gather evidence for every proposal, then move and score it."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from diffdrive.model.config import PlannerConfig
from diffdrive.model.decoder.bev_sampling import BevSampling
from diffdrive.model.scene_features import SceneFeatures
from diffdrive.tensors import LayerProposals

SCORE_PRIOR = 0.01
"""Every score starts near this probability, so that the many negatives do not dominate the first steps (Lin et al. 2017)."""


class DecoderLayer(nn.Module):
    """Evidence from the BEV map, the agents and the ego query; then the noise level; ``head`` moves and scores with it.

    A source of evidence that the configuration leaves out has no weights and no norm.
    """

    agent_attention: nn.MultiheadAttention | None
    agent_norm: nn.LayerNorm | None
    ego_attention: nn.MultiheadAttention | None
    ego_norm: nn.LayerNorm | None

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        dims, dropout = config.dims, config.decoder_dropout
        self.bev_sampling = BevSampling(config) if config.spatial_attention else None
        self.agent_attention, self.agent_norm = _attention(config) if config.agent_attention else (None, None)
        self.ego_attention, self.ego_norm = _attention(config) if config.ego_attention else (None, None)
        self.dropout = nn.Dropout(dropout)
        self.ffn = nn.Sequential(nn.Linear(dims, config.ffn_dims), nn.ReLU(), nn.Linear(config.ffn_dims, dims))
        self.ffn_norm = nn.LayerNorm(dims)
        self.modulation = nn.Sequential(nn.Mish(), nn.Linear(dims, 2 * dims))
        self.head = ProposalHead(config)

    def forward(self, query: Tensor, points: Tensor, level: Tensor, features: SceneFeatures) -> Tensor:
        """The evidence [B, M, D] for ``query`` [B, M, D] at the embedded noise ``level`` [B, 1, D].

        The map is looked at around ``points`` [B, M, T, 2] metres.
        """
        if self.bev_sampling is not None:
            query = self.bev_sampling(query, points, features.bev)
        if self.agent_attention is not None and self.agent_norm is not None:
            query = self.agent_norm(query + self.dropout(_attend(self.agent_attention, query, features.agent_queries)))
        if self.ego_attention is not None and self.ego_norm is not None:
            query = self.ego_norm(query + self.dropout(_attend(self.ego_attention, query, features.ego_query)))
        query = self.ffn_norm(self.ffn(query))
        scale, shift = self.modulation(level).chunk(2, dim=-1)
        return query * (1.0 + scale) + shift


class ProposalHead(nn.Module):
    """Offsets from the given origins, headings, and one score per proposal."""

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        dims = config.dims
        self.num_poses = config.targets.num_poses
        self.regression = nn.Sequential(
            nn.Linear(dims, dims), nn.ReLU(), nn.Linear(dims, dims), nn.ReLU(), nn.Linear(dims, 3 * self.num_poses)
        )
        self.score = nn.Sequential(
            nn.Linear(dims, dims), nn.ReLU(), nn.LayerNorm(dims), nn.Linear(dims, dims), nn.ReLU(), nn.LayerNorm(dims),
            nn.Linear(dims, 1),
        )  # fmt: skip
        last = cast(nn.Linear, self.score[-1])
        nn.init.constant_(last.bias, -math.log((1.0 - SCORE_PRIOR) / SCORE_PRIOR))

    def forward(self, query: Tensor, origins: Tensor) -> LayerProposals:
        raw = self.regression(query).unflatten(-1, (self.num_poses, 3))
        poses = torch.cat((origins + raw[..., :2], torch.tanh(raw[..., 2:]) * math.pi), dim=-1)
        return LayerProposals(poses, self.score(query)[..., 0])


def _attention(config: PlannerConfig) -> tuple[nn.MultiheadAttention, nn.LayerNorm]:
    return nn.MultiheadAttention(config.dims, config.heads, batch_first=True), nn.LayerNorm(config.dims)


def _attend(attention: nn.MultiheadAttention, query: Tensor, memory: Tensor) -> Tensor:
    return attention(query, memory, memory, need_weights=False)[0]
