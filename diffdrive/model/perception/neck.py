"""From maps to meaning: queries for the ego and the agents, and a BEV map of the same width for the decoder to sample."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.config import STATUS_DIMS, PlannerConfig


class SceneNeck(nn.Module):
    """Queries attend to the coarse BEV cells and the ego status; the BEV map joins the coarse cells with the fine map."""

    def __init__(self, config: PlannerConfig, fused_channels: int) -> None:
        super().__init__()
        dims = config.dims
        self.lidar_grid = config.lidar_grid
        self.cell_projection = nn.Conv2d(fused_channels, dims, 1)
        self.status_projection = nn.Linear(STATUS_DIMS, dims)
        self.token_position = nn.Embedding(config.num_lidar_tokens + 1, dims)
        self.queries = nn.Embedding(config.num_queries, dims)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(dims, config.heads, config.ffn_dims, dropout=0.0, batch_first=True)
            for _ in range(config.query_layers)
        )
        self.bev_projection = nn.Linear(dims + config.bev_channels, dims)
        self.bev_norm = nn.LayerNorm(dims)

    def forward(self, fused: Tensor, fine_bev: Tensor, status: Tensor) -> tuple[Tensor, Tensor]:
        """Coarse map, fine map and ego status [B, 8] to queries [B, 1 + A, D] (ego first) and the BEV map [B, D, Hb, Wb]."""
        queries, coarse = self.look(fused, status)
        return queries, self.join(coarse, fine_bev)

    def look(self, fused: Tensor, status: Tensor) -> tuple[Tensor, Tensor]:
        """Queries, and the coarse cells [B, D, h, w] that they attended to."""
        cells = self.cell_projection(fused).flatten(2).transpose(1, 2)
        tokens = torch.cat((cells, self.status_projection(status)[:, None]), dim=1) + self.token_position.weight
        queries = self.queries.weight.expand(len(status), -1, -1)
        for layer in self.layers:
            queries = layer(queries, tokens)
        return queries, tokens[:, :-1].transpose(1, 2).unflatten(2, self.lidar_grid)

    def join(self, coarse: Tensor, fine_bev: Tensor) -> Tensor:
        """The BEV map [B, D, Hb, Wb] that the decoder samples, from the coarse cells and the fine map [B, C, Hb, Wb]."""
        coarse = F.interpolate(coarse, size=fine_bev.shape[-2:], mode="bilinear", align_corners=False)
        both = torch.cat((coarse, fine_bev), dim=1).flatten(2).transpose(1, 2)
        joined = self.bev_norm(F.relu(self.bev_projection(both)))
        return joined.transpose(1, 2).unflatten(2, fine_bev.shape[-2:])
