"""What the planner also tells about the scene: the vehicles around it and the ground ahead."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.config import PlannerConfig
from diffdrive.tensors import AgentPredictions

BOX_DIMS = 5
"""x, y, heading, length, width."""


class AgentHead(nn.Module):
    """One box and one logit per agent query."""

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self.range_m = config.targets.agent_range_m
        self.box = nn.Sequential(nn.Linear(config.dims, config.ffn_dims), nn.ReLU(), nn.Linear(config.ffn_dims, BOX_DIMS))
        self.label = nn.Linear(config.dims, 1)

    def forward(self, queries: Tensor) -> AgentPredictions:
        """From ``queries`` [B, A, D]. Centres are held within the agent range, headings within (-pi, pi)."""
        raw = self.box(queries)
        centre = torch.tanh(raw[..., :2]) * self.range_m
        heading = torch.tanh(raw[..., 2:3]) * math.pi
        return AgentPredictions(torch.cat((centre, heading, raw[..., 3:]), dim=-1), self.label(queries)[..., 0])


class BevSemanticHead(nn.Module):
    """Class logits of the ground in front of the car."""

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        channels = config.bev_channels
        self.size = (config.targets.bev_rows, config.targets.bev_columns)
        self.front_rows = config.bev_pixels // 2 if config.bev_head_is_metric else config.bev_pixels
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.classes = nn.Conv2d(channels, config.targets.bev_classes, 1)

    def forward(self, fine_bev: Tensor) -> Tensor:
        """[B, C, Hb, Wb] to [B, K, rows, columns]."""
        front = fine_bev[:, :, -self.front_rows :]
        logits = self.classes(F.relu(self.hidden(front)))
        return F.interpolate(logits, size=self.size, mode="bilinear", align_corners=False)
