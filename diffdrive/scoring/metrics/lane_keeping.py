"""Lane keeping: 0 for driving beside the centreline for two seconds."""

from __future__ import annotations

import torch

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.overlap.grid import Grid
from diffdrive.scoring.overlap.points import Points
from diffdrive.scoring.scores import CORNERS, Verdict

MAX_DISTANCE_M = 0.5
MAX_STEPS = 20


def lane_keeping(lane_grid: Grid, areas: Areas) -> Verdict:
    """[F] by the longest run of steps whose centre is more than ``MAX_DISTANCE_M`` off the centreline.

    Steps in an intersection neither prolong a run nor end it.
    """
    centre = areas.motion.centre
    near = Points.of(lane_grid, centre, areas.motion.scenes).is_near(MAX_DISTANCE_M).reshape(centre.shape[:2])
    counted = ~areas.is_centre_in_intersection
    away = (counted & ~near).cumsum(dim=1)
    run = away - torch.where(counted & near, away, 0).cummax(dim=1).values
    over = run >= MAX_STEPS
    step = over.to(torch.int8).argmax(dim=1)
    value = (~over.any(dim=1)).to(torch.float64)
    return Verdict.of(value, step=step, corner=torch.full_like(step, CORNERS.index("centre")))
