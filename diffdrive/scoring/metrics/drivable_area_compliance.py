"""Drivable area compliance: 0 for leaving the roads, intersections and carparks with a corner."""

from __future__ import annotations

import torch

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.scores import Verdict


def drivable_area_compliance(areas: Areas) -> Verdict:
    """[F] with the first step and corner outside."""
    off = areas.is_corner_off
    step = areas.is_nondrivable.to(torch.int8).argmax(dim=1)
    corner = off[torch.arange(len(off), device=off.device), step].to(torch.int8).argmax(dim=1)
    return Verdict.of((~off.flatten(1).any(dim=1)).to(torch.float64), step=step, corner=corner)
