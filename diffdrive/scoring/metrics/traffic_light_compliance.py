"""Traffic light compliance: 0 for being in a lane connector of the route while its light is red."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffdrive.scoring.motion import HALF_LENGTH, HALF_WIDTH, Motion
from diffdrive.scoring.overlap.boxes import touches_segment
from diffdrive.scoring.overlap.cells import cells_of_polygons
from diffdrive.scoring.overlap.grid import Grid
from diffdrive.scoring.overlap.points import Points
from diffdrive.scoring.overlap.ragged import ragged
from diffdrive.scoring.rules import NUM_STEPS
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.scoring_scene import RedLights


@dataclass(frozen=True, slots=True, kw_only=True)
class RedMap:
    """The connectors of all scenes that are red at some step."""

    grid: Grid
    reach_grid: Grid
    """Its cells know all that the ego's body can reach from there."""

    is_red: Tensor
    """[connectors, 41]."""

    @classmethod
    def of(cls, scenes: Sequence[RedLights], origins: np.ndarray) -> RedMap:
        """From the lights of each scene and the origins [S, 2]."""
        reach = math.hypot(HALF_LENGTH, HALF_WIDTH)
        lit = [each.is_red[:, :NUM_STEPS] for each in scenes if len(each.polygons)]
        grids = (
            Grid.of([cells_of_polygons(each.polygons, origin, margin) for each, origin in zip(scenes, origins, strict=True)])
            for margin in (0.0, reach)
        )
        is_red = np.concatenate(lit) if lit else np.zeros((0, NUM_STEPS), dtype=bool)
        return cls(grid=next(grids), reach_grid=next(grids), is_red=torch.tensor(is_red))


def traffic_light_compliance(red: RedMap, motion: Motion) -> Verdict:
    """[F] with the first step in a red connector; touching it counts."""
    rows, steps = motion.speed.shape
    crossed = _centre_inside(red, motion)
    # Only steps before the first one found so far can still say more.
    crossed = crossed.unflatten(0, (rows, steps))
    open_steps = (crossed.cumsum(dim=1) == 0).flatten().nonzero()[:, 0]
    crossed.view(-1)[open_steps[_touches(red, motion, open_steps // steps, open_steps % steps)]] = True
    return Verdict.of((~crossed.any(dim=1)).to(torch.float64), step=crossed.to(torch.int8).argmax(dim=1))


def _centre_inside(red: RedMap, motion: Motion) -> Tensor:
    """[F * T]."""
    centres = Points.of(red.grid, motion.centre, motion.scenes)
    pose, entry = red.grid.entries_at(centres.slot)
    lit = red.is_red[red.grid.owners[entry], pose % motion.speed.shape[1]].nonzero()[:, 0]
    pose, entry = pose[lit], entry[lit]
    inside = torch.zeros(motion.speed.numel(), dtype=torch.bool, device=pose.device)
    inside[pose[centres.is_inside(pose, entry)]] = True
    return inside


def _touches(red: RedMap, motion: Motion, row: Tensor, step: Tensor) -> Tensor:
    """[N] whether the body meets an edge of a red connector, for pairs of a row and a step."""
    ego, grid = motion.at(row, step), red.reach_grid
    pose, entry = grid.entries_at(grid.locate(ego.centre[:, None], ego.scenes))
    lit = red.is_red[grid.owners[entry], step[pose]].nonzero()[:, 0]
    pair, piece = ragged(grid.piece_offsets, entry[lit])
    pose = pose[lit][pair]
    x, y = motion.at(row[pose], step[pose]).seen(grid.segments.index_select(0, piece).unflatten(1, (2, 2)))
    touched = torch.zeros(len(row), dtype=torch.bool, device=row.device)
    touched[pose[touches_segment(x, y, HALF_LENGTH, HALF_WIDTH)]] = True
    return touched
