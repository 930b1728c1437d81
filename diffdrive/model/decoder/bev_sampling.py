"""Look at the BEV map where a trajectory would drive."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.config import PlannerConfig


class BevSampling(nn.Module):
    """Bilinear samples of the BEV map at a trajectory's own points, weighted by its query, added to the query.

    Points outside the map read zeros but keep their weight.
    """

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        self.range_m = config.inputs.lidar_range_m
        self.value = nn.Conv2d(config.dims, config.dims, config.bev_value_kernel, padding=config.bev_value_kernel // 2)
        self.weights = nn.Linear(config.dims, config.targets.num_poses)
        self.output = nn.Linear(config.dims, config.dims)
        self.dropout = nn.Dropout(config.decoder_dropout)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, query: Tensor, points: Tensor, bev: Tensor) -> Tensor:
        """``query`` [B, M, D], ``points`` [B, M, T, 2] metres, ``bev`` [B, D, H, W]; returns [B, M, D]."""
        values = F.relu(self.value(bev))
        # grid_sample's first coordinate runs along columns, and columns are y.
        grid = points.flip(-1) / self.range_m
        samples = F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        weights = self.weights(query).softmax(dim=-1)
        mixed = torch.einsum("bdmt,bmt->bmd", samples, weights)
        return query + self.dropout(self.output(mixed))
