"""Driving direction compliance: how far the ego drives outside of the lanes of its route."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.scores import CORNERS, Verdict

WINDOW_STEPS = 10
"""One second."""

FREE_M = 2.0
LIMIT_M = 6.0
"""Less than ``FREE_M`` within the window costs nothing, less than ``LIMIT_M`` a half."""


def driving_direction_compliance(areas: Areas, *, spares_intersections: bool) -> Verdict:
    """[F] by the longest way of the centre within a second, counted at the steps that end outside of the route's lanes.

    ``spares_intersections``: steps that end in an intersection are not counted.
    """
    centre = areas.motion.centre
    moved = torch.zeros_like(centre[..., 0])
    moved[:, 1:] = (centre[:, 1:] - centre[:, :-1]).square().sum(-1).sqrt()
    counted = areas.is_oncoming
    if spares_intersections:
        counted = counted & ~areas.is_centre_in_intersection
    padded = torch.nn.functional.pad(torch.where(counted, moved, 0.0), (WINDOW_STEPS, 0))
    steps = moved.shape[1]
    within = sum((padded[:, k : k + steps] for k in range(WINDOW_STEPS + 1)), start=torch.zeros_like(moved))
    score = _score(within)
    value = score.amin(dim=1)
    step = (score == value[:, None]).to(torch.int8).argmax(dim=1)
    return Verdict.of(value, step=step, corner=torch.full_like(step, CORNERS.index("centre")))


def _score(metres: Tensor) -> Tensor:
    return torch.where(metres < FREE_M, 1.0, torch.where(metres < LIMIT_M, 0.5, 0.0)).to(torch.float64)
