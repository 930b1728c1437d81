"""Ego progress: how far the ego came along the route, compared with the best that was possible."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scoring.overlap.polylines import Lines
from diffdrive.scoring.rules import Protocol

MIN_PROGRESS_M = 5.0
"""Where nobody gets farther, progress says nothing."""


def raw_progress(centerlines: Lines, centres: Tensor) -> Tensor:
    """[S, R] metres along the centreline from the first to the last of the centres [S, R, T, 2], never negative."""
    begin, end = centerlines.project(centres[:, :, 0]), centerlines.project(centres[:, :, -1])
    return (end - begin).clamp(min=0.0)


def normalise(raw: Tensor, multiplier: Tensor, best: Tensor, protocol: Protocol) -> Tensor:
    """The sub-score [S, N] of ``raw`` progress [S, N] in metres.

    ``multiplier`` [S, N] is the product of the multipliers, ``best`` [S, N] the largest raw * multiplier among those that a
    row is compared with, itself included.
    """
    counts = best > MIN_PROGRESS_M
    yardstick = torch.where(counts, best, 1.0)
    if protocol is Protocol.V1:
        return torch.where(counts, raw * multiplier / yardstick, (multiplier != 0).to(raw.dtype))
    return torch.where(counts, (raw / yardstick).clamp(0.0, 1.0), torch.ones_like(raw))
