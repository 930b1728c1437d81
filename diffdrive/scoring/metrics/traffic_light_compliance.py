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
    """[F] with the first step in a red connector; touching it counts.

    The cheap ways to be in one come first; after each, only the steps before the first one found can say more.
    """
    rows, steps = motion.speed.shape
    first = torch.full((rows,), steps, device=motion.speed.device)
    if len(red.is_red):
        first = _touches(red, motion, _holds_centre(red, motion, first))
    return Verdict.of((first == steps).to(torch.float64), step=first)


def _holds_centre(red: RedMap, motion: Motion, first: Tensor) -> Tensor:
    """[F] the first step with the centre in a red connector, where it is before ``first``."""
    steps, grid = motion.speed.shape[1], red.grid
    centres = Points.of(grid, motion.centre, motion.scenes)
    pose, entry = grid.entries_at(centres.slot)
    lit = red.is_red[grid.owners.index_select(0, entry), pose % steps].nonzero()[:, 0]
    pose, entry = pose.index_select(0, lit), entry.index_select(0, lit)
    is_whole = grid.is_whole.index_select(0, entry)
    first = _earlier(first, pose[is_whole], steps)
    rest = (~is_whole & (pose % steps < first.index_select(0, pose // steps))).nonzero()[:, 0]
    pose, entry = pose.index_select(0, rest), entry.index_select(0, rest)
    return _earlier(first, pose[centres.is_inside(pose, entry)], steps)


def _touches(red: RedMap, motion: Motion, first: Tensor) -> Tensor:
    """[F] the first step at which the body meets an edge of a red connector, where it is before ``first``."""
    steps, grid = motion.speed.shape[1], red.reach_grid
    row, step = (torch.arange(steps, device=first.device) < first[:, None]).nonzero(as_tuple=True)
    ego = motion.at(row, step)
    pose, entry = grid.entries_at(grid.locate(ego.centre[:, :1], ego.centre[:, 1:], ego.scenes))
    lit = red.is_red[grid.owners.index_select(0, entry), step.index_select(0, pose)].nonzero()[:, 0]
    pair, piece = ragged(grid.piece_offsets, entry.index_select(0, lit))
    pose = pose.index_select(0, lit).index_select(0, pair)
    x, y = ego.take(pose).seen(grid.segments.index_select(1, piece).T.unflatten(1, (2, 2)))
    met = pose[touches_segment(x, y, HALF_LENGTH, HALF_WIDTH)]
    return _earlier(first, row.index_select(0, met) * steps + step.index_select(0, met), steps)


def _earlier(first: Tensor, pose: Tensor, steps: int) -> Tensor:
    """``first`` [F], or the step of one of the poses (row * steps + step) where that is earlier."""
    return first.scatter_reduce(0, pose // steps, pose % steps, "amin")
