"""Angles in radians as tensors of any shape."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def wrap_angle(angles: Tensor) -> Tensor:
    """The same directions in [-pi, pi)."""
    return torch.remainder(angles + math.pi, 2 * math.pi) - math.pi


def unwrap_angles(angles: Tensor) -> Tensor:
    """The same directions [..., T], each within half a turn of the one before; the first stays."""
    turns = torch.round(angles.diff(dim=-1) / (2 * math.pi)).cumsum(dim=-1)
    return torch.cat([angles[..., :1], angles[..., 1:] - 2 * math.pi * turns], dim=-1)
