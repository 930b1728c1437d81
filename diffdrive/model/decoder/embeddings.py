"""Numbers as vectors: sine embeddings of points and of noise levels (Vaswani et al. 2017, section 3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BASE_PERIOD = 10000.0


def sine_points(points: Tensor, dims: int) -> Tensor:
    """Embed ``points`` [..., 2] (metres) as [..., dims]: y in the first half, x in the second, sine and cosine interleaved."""
    half = dims // 2
    index = torch.arange(half, device=points.device, dtype=points.dtype)
    period = BASE_PERIOD ** (2.0 * torch.div(index, 2, rounding_mode="floor") / half)
    angle = points.flip(-1)[..., None] * (2.0 * math.pi) / period
    pairs = torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), dim=-1)
    return pairs.flatten(-3)


def sine_level(level: Tensor, dims: int) -> Tensor:
    """Embed noise levels [B] as [B, dims]: sines in the first half, cosines in the second."""
    half = dims // 2
    index = torch.arange(half, device=level.device, dtype=torch.float32)
    angle = level.to(torch.float32)[:, None] * torch.exp(index * (-math.log(BASE_PERIOD) / (half - 1)))
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class PointEncoder(nn.Module):
    """All points of a trajectory as one query."""

    def __init__(self, num_poses: int, point_dims: int, dims: int) -> None:
        super().__init__()
        self.point_dims = point_dims
        self.mlp = nn.Sequential(nn.Linear(num_poses * point_dims, dims), nn.ReLU(), nn.LayerNorm(dims), nn.Linear(dims, dims))

    def forward(self, points: Tensor) -> Tensor:
        """[B, M, T, 2] metres to [B, M, D]."""
        return self.mlp(sine_points(points, self.point_dims).flatten(-2))


class LevelEncoder(nn.Module):
    """The noise level as one vector."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims
        self.mlp = nn.Sequential(nn.Linear(dims, 4 * dims), nn.Mish(), nn.Linear(4 * dims, dims))

    def forward(self, level: Tensor) -> Tensor:
        """[B] to [B, 1, D]."""
        return self.mlp(sine_level(level, self.dims))[:, None]
