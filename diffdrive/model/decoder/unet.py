"""A conditional U-Net over the points of a trajectory (Janner et al. 2022, Chi et al. 2023): the usual diffusion head.

    points --+--> block at T -----------------------------+--> block at T --> xy, heading
             (box)     +--> halve --> 2 blocks at T / 2 --> double        |
                                            +--> score     (noise level and ego query steer every block)

It knows the scene by the ego query alone. Sizes are this project's own: D channels at T points, 2 D at T / 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model.config import PlannerConfig
from diffdrive.model.decoder.embeddings import LevelEncoder
from diffdrive.model.scene_features import SceneFeatures
from diffdrive.tensors import LayerProposals

MOST_GROUPS = 8
KERNEL = 3


class UNetDecoder(nn.Module):
    """Predict the clean points from noisy ones in one pass. Each proposal is denoised for itself.

    Where there are anchors every proposal gets a score; else logits are zero and the first sample counts as chosen.
    """

    def __init__(self, config: PlannerConfig) -> None:
        super().__init__()
        dims, wide = config.dims, 2 * config.dims
        self.normalizer = config.normalizer
        self.level_encoder = LevelEncoder(dims)
        self.first = SteeredBlock(2, dims, steering=2 * dims)
        self.halve = PointConvolution(dims, dims, stride=2)
        self.deep = SteeredBlock(dims, wide, steering=2 * dims)
        self.deepest = SteeredBlock(wide, wide, steering=2 * dims)
        self.last = SteeredBlock(wide + dims, dims, steering=2 * dims)
        self.poses = nn.Sequential(_convolution(dims, dims), PointConvolution(dims, 3, kernel=1))
        self.score = nn.Sequential(nn.Linear(wide, dims), nn.Mish(), nn.Linear(dims, 1)) if config.has_anchors else None

    def forward(
        self, features: SceneFeatures, points: Tensor, level: int | Tensor, origins: Tensor | None = None
    ) -> tuple[LayerProposals, ...]:
        """``points`` [B, M, T, 2] metres at noise ``level`` (one number, or [B]); one entry.

        What is predicted of x and y is added to ``origins`` (as ``points``), or stands for itself where there are none.
        """
        return (self.propose(features.ego_query, points, level, origins),)

    def propose(self, ego_query: Tensor, points: Tensor, level: int | Tensor, origins: Tensor | None = None) -> LayerProposals:
        """As ``forward``, from the ego query [B, 1, D]."""
        if isinstance(level, int):
            level = torch.full((len(points),), level, device=points.device)
        steering = torch.cat((self.level_encoder(level), ego_query), dim=-1)
        fine = self.first(self.normalizer.normalize(points), steering)
        coarse = self.deepest(self.deep(self.halve(fine), steering), steering)
        joined = self.last(torch.cat((_doubled(coarse, fine.shape[-2]), fine), dim=-1), steering)
        raw = self.poses(joined)
        clean = raw[..., :2] if origins is None else raw[..., :2] + self.normalizer.normalize(origins)
        poses = torch.cat((self.normalizer.denormalize(clean), torch.tanh(raw[..., 2:]) * math.pi), dim=-1)
        if self.score is None:
            return LayerProposals(poses, torch.zeros_like(poses[..., 0, 0]))
        return LayerProposals(poses, self.score(coarse.mean(dim=-2))[..., 0])


class SteeredBlock(nn.Module):
    """Two convolutions with a shortcut; between them, ``steering`` scales and shifts every channel (Perez et al. 2018)."""

    def __init__(self, channels: int, width: int, steering: int) -> None:
        super().__init__()
        self.first = _convolution(channels, width)
        self.second = _convolution(width, width)
        self.modulation = nn.Sequential(nn.Mish(), nn.Linear(steering, 2 * width))
        self.shortcut = PointConvolution(channels, width, kernel=1) if channels != width else nn.Identity()

    def forward(self, x: Tensor, steering: Tensor) -> Tensor:
        """[B, M, T, C] with ``steering`` [B, 1, S] to [B, M, T, C']."""
        scale, shift = self.modulation(steering)[..., None, :].chunk(2, dim=-1)
        inside = self.first(x) * (1.0 + scale) + shift
        return self.second(inside) + self.shortcut(x)


class PointConvolution(nn.Conv1d):
    """A convolution along the points of [..., T, C] as one matrix product, which CPUs do faster where the points are few."""

    def __init__(self, channels: int, width: int, kernel: int = KERNEL, stride: int = 1) -> None:
        super().__init__(channels, width, kernel, stride=stride, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        (kernel,), (stride,), num_points = self.kernel_size, self.stride, x.shape[-2]
        padded = F.pad(x, (0, 0, kernel // 2, kernel // 2))
        windows = torch.cat([padded[..., k : k + num_points : stride, :] for k in range(kernel)], dim=-1)
        return F.linear(windows, self.weight.transpose(1, 2).flatten(1), self.bias)


class PointNorm(nn.GroupNorm):
    """``nn.GroupNorm`` of [B, M, T, C], for every proposal by itself."""

    def forward(self, x: Tensor) -> Tensor:
        normed = super().forward(x.flatten(0, 1).transpose(1, 2)).transpose(1, 2)
        return normed.unflatten(0, x.shape[:2]).contiguous()  # what follows is slow on mixed layouts


def _convolution(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(PointConvolution(channels, width), PointNorm(math.gcd(width, MOST_GROUPS), width), nn.Mish())


def _doubled(x: Tensor, num_points: int) -> Tensor:
    """Every point of [B, M, t, C] twice, as far as ``num_points``."""
    return x.repeat_interleave(2, dim=-2)[..., :num_points, :]
