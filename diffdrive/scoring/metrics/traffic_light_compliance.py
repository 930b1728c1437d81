"""Traffic light compliance: 0 for being in a lane connector of the route while its light is red."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffdrive.scoring.motion import Motion
from diffdrive.scoring.overlap.boxes import touches_segment
from diffdrive.scoring.overlap.cells import cells_of_polygons
from diffdrive.scoring.overlap.grid import Grid
from diffdrive.scoring.overlap.points import is_inside
from diffdrive.scoring.overlap.ragged import ragged
from diffdrive.scoring.rules import NUM_STEPS
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.scoring_scene import RedLights
from diffdrive.vehicle import PACIFICA


@dataclass(frozen=True, slots=True, kw_only=True)
class RedMap:
    """The connectors of all scenes that are red at some step."""

    grid: Grid
    """Its margin is the reach of the ego's corners."""

    is_red: Tensor
    """[connectors, 41]."""

    @classmethod
    def of(cls, scenes: Sequence[RedLights], origins: np.ndarray) -> RedMap:
        """From the lights of each scene and the origins [S, 2]."""
        reach = math.hypot(PACIFICA.length, PACIFICA.width) / 2
        cells = [cells_of_polygons(each.polygons, origin, reach) for each, origin in zip(scenes, origins, strict=True)]
        lit = [each.is_red[:, :NUM_STEPS] for each in scenes if len(each.polygons)]
        is_red = np.concatenate(lit) if lit else np.zeros((0, NUM_STEPS), dtype=bool)
        return cls(grid=Grid.of(cells), is_red=torch.tensor(is_red))


def traffic_light_compliance(red: RedMap, motion: Motion) -> Verdict:
    """[F] with the first step in a red connector; touching it counts."""
    rows, steps = motion.speed.shape
    grid = red.grid
    located = grid.locate(motion.centre.reshape(-1, 2), motion.scenes_of(motion.centre.shape))
    pose, entry = grid.entries_at(located)
    lit = red.is_red[grid.owners[entry], pose % steps].nonzero()[:, 0]
    pose, entry = pose[lit], entry[lit]
    # In a connector without touching its edge, or on its edge.
    meets = is_inside(grid, located, pose, entry)
    pair, piece = ragged(grid.piece_offsets, entry)
    ends = grid.segments[piece].unflatten(1, (2, 2))
    seen = motion.seen(ends, pose[pair] // steps, pose[pair] % steps).flatten(1)
    meets[pair[touches_segment(seen, motion.half_length, motion.half_width)]] = True
    crossed = torch.zeros(rows * steps, dtype=torch.bool, device=pose.device)
    crossed[pose[meets]] = True
    crossed = crossed.unflatten(0, (rows, steps))
    return Verdict.of((~crossed.any(dim=1)).to(torch.float64), step=crossed.to(torch.int8).argmax(dim=1))
