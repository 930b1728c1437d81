"""Let two maps exchange information: pool both to a coarse grid, attend over all cells of both, add the answer back.

TransFuser (Chitta et al. 2022), section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.config import PlannerConfig

LINEAR_INIT_STD = 0.02
MLP_RATIO = 4


class SelfAttention(nn.Module):
    """Multi-head self-attention with separate projections."""

    def __init__(self, dims: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dims, dims)
        self.key = nn.Linear(dims, dims)
        self.value = nn.Linear(dims, dims)
        self.output = nn.Linear(dims, dims)
        self.weight_dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(dim=-1)
        return self.output((self.weight_dropout(weights) @ value).transpose(1, 2).flatten(2))


class FusionBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dims: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dims)
        self.attention = SelfAttention(dims, heads, dropout)
        self.mlp_norm = nn.LayerNorm(dims)
        self.mlp = nn.Sequential(nn.Linear(dims, MLP_RATIO * dims), nn.ReLU(), nn.Linear(MLP_RATIO * dims, dims))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        return tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))


class FusionStage(nn.Module):
    """One exchange between an image map and a LiDAR map."""

    def __init__(self, config: PlannerConfig, image_channels: int, lidar_channels: int) -> None:
        super().__init__()
        self.image_grid = config.image_grid
        self.lidar_grid = config.lidar_grid
        num_tokens = config.num_image_tokens + config.num_lidar_tokens
        self.lidar_to_image = nn.Conv2d(lidar_channels, image_channels, 1)
        self.position = nn.Parameter(torch.zeros(1, num_tokens, image_channels))
        self.dropout = nn.Dropout(config.fusion_dropout)
        self.blocks = nn.Sequential(
            *(FusionBlock(image_channels, config.fusion_heads, config.fusion_dropout) for _ in range(config.fusion_layers))
        )
        self.norm = nn.LayerNorm(image_channels)
        self.image_to_lidar = nn.Conv2d(image_channels, lidar_channels, 1)
        self.blocks.apply(_init_linear)

    def forward(self, image: Tensor, lidar: Tensor) -> tuple[Tensor, Tensor]:
        """[B, Ci, H, W] and [B, Cl, Hl, Wl] to the same shapes."""
        image_cells = F.adaptive_avg_pool2d(image, self.image_grid).flatten(2)
        lidar_cells = self.lidar_to_image(F.adaptive_avg_pool2d(lidar, self.lidar_grid)).flatten(2)
        tokens = torch.cat((image_cells, lidar_cells), dim=2).transpose(1, 2)
        answer = self.norm(self.blocks(self.dropout(tokens + self.position))).transpose(1, 2)
        num_image = image_cells.shape[2]
        to_image = answer[:, :, :num_image].unflatten(2, self.image_grid)
        to_lidar = self.image_to_lidar(answer[:, :, num_image:].unflatten(2, self.lidar_grid))
        return image + _resize(to_image, image), lidar + _resize(to_lidar, lidar)


def _resize(cells: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(cells, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=LINEAR_INIT_STD)
        nn.init.zeros_(module.bias)
