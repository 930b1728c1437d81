"""Imitate the driven trajectory with the one proposal whose anchor is nearest to it; score that one up, all others down."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.tensors import LayerProposals
from diffdrive.training.objectives.terms import ObjectiveWeights

FOCAL_GAMMA = 2.0
FOCAL_ALPHA = 0.25


def nearest_anchor(anchors: Tensor, trajectory: Tensor) -> Tensor:
    """[B] index of the anchor of [M, T, 2] with the smallest mean distance to ``trajectory`` [B, T, 3]."""
    distance = torch.linalg.vector_norm(anchors[None] - trajectory[:, None, :, :2], dim=-1)
    return distance.mean(dim=-1).argmin(dim=-1)


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sigmoid focal loss (Lin et al. 2017, eq. 5), averaged over all of ``logits``; ``targets`` are 0 or 1."""
    probability = logits.sigmoid()
    miss = targets * (1.0 - probability) + (1.0 - targets) * probability
    alpha = targets * FOCAL_ALPHA + (1.0 - targets) * (1.0 - FOCAL_ALPHA)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (alpha * miss**FOCAL_GAMMA * entropy).mean()


def imitation_loss(proposals: LayerProposals, trajectory: Tensor, positive: Tensor, weights: ObjectiveWeights) -> Tensor:
    """Of one decoder layer. ``positive`` [B] is the index of the proposal that should match ``trajectory`` [B, T, 3]."""
    one_hot = F.one_hot(positive, proposals.logits.shape[1]).to(proposals.logits.dtype)
    matched = proposals.poses[torch.arange(len(positive), device=positive.device), positive]
    score = focal_loss(proposals.logits, one_hot)
    pose = F.l1_loss(matched, trajectory.to(matched.dtype))
    return weights.trajectory * (weights.score * score + weights.pose * pose)


def regression_loss(proposals: LayerProposals, trajectory: Tensor, weights: ObjectiveWeights) -> Tensor:
    """Of proposals that all imitate ``trajectory`` [B, T, 3]: the pose part of ``imitation_loss``, averaged over them."""
    poses = proposals.poses
    return weights.trajectory * weights.pose * F.l1_loss(poses, trajectory.to(poses.dtype)[:, None].expand_as(poses))
