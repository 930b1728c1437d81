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
        self.halve = nn.Conv1d(dims, dims, KERNEL, stride=2, padding=KERNEL // 2)
        self.deep = SteeredBlock(dims, wide, steering=2 * dims)
        self.deepest = SteeredBlock(wide, wide, steering=2 * dims)
        self.last = SteeredBlock(wide + dims, dims, steering=2 * dims)
        self.poses = nn.Sequential(_convolution(dims, dims), nn.Conv1d(dims, 3, 1))
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
        fine = self.first(self.normalizer.normalize(points).transpose(-1, -2), steering)
        coarse = self.halve(fine.flatten(0, 1)).unflatten(0, fine.shape[:2])
        coarse = self.deepest(self.deep(coarse, steering), steering)
        doubled = F.interpolate(coarse.flatten(0, 1), size=fine.shape[-1]).unflatten(0, fine.shape[:2])
        joined = self.last(torch.cat((doubled, fine), dim=2), steering)
        raw = self.poses(joined.flatten(0, 1)).unflatten(0, fine.shape[:2]).transpose(-1, -2)
        clean = raw[..., :2] if origins is None else raw[..., :2] + self.normalizer.normalize(origins)
        poses = torch.cat((self.normalizer.denormalize(clean), torch.tanh(raw[..., 2:]) * math.pi), dim=-1)
        if self.score is None:
            return LayerProposals(poses, torch.zeros_like(poses[..., 0, 0]))
        return LayerProposals(poses, self.score(coarse.mean(dim=-1))[..., 0])


class SteeredBlock(nn.Module):
    """Two convolutions with a shortcut; between them, ``steering`` scales and shifts every channel (Perez et al. 2018)."""

    def __init__(self, channels: int, width: int, steering: int) -> None:
        super().__init__()
        self.first = _convolution(channels, width)
        self.second = _convolution(width, width)
        self.modulation = nn.Sequential(nn.Mish(), nn.Linear(steering, 2 * width))
        self.shortcut = nn.Conv1d(channels, width, 1) if channels != width else nn.Identity()

    def forward(self, x: Tensor, steering: Tensor) -> Tensor:
        """[B, M, C, T] with ``steering`` [B, 1, S] to [B, M, C', T]."""
        scale, shift = self.modulation(steering)[..., None].chunk(2, dim=2)
        inside = self.first(x.flatten(0, 1)).unflatten(0, x.shape[:2]) * (1.0 + scale) + shift
        answer = self.second(inside.flatten(0, 1)) + self.shortcut(x.flatten(0, 1))
        return answer.unflatten(0, x.shape[:2])


def _convolution(channels: int, width: int) -> nn.Sequential:
    groups = math.gcd(width, MOST_GROUPS)
    return nn.Sequential(nn.Conv1d(channels, width, KERNEL, padding=KERNEL // 2), nn.GroupNorm(groups, width), nn.Mish())
