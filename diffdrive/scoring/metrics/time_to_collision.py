"""Time to collision: 0 where the ego, driven straight on for up to 0.9 s, would run into someone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.encounters import Encounters
from diffdrive.scoring.scores import Verdict

STOPPED_SPEED = 0.005
"""m/s, below."""

AHEAD_RAD = math.radians(30.0)
BEHIND_RAD = math.radians(150.0)


def time_to_collision(encounters: Encounters, areas: Areas, *, steps: int, corrected: bool) -> Verdict:
    """[F] judged at the first ``steps`` steps where the boxes would meet for the first time, track by track.

    What is ahead counts; what is beside counts where the ego is in several lanes, off the road or in an intersection. Tracks
    that hit a standing ego, or that the collision rule ignores, are looked at here all the same.
    """
    checked = encounters.where((encounters.step < steps) & (encounters.speed >= STOPPED_SPEED))
    first = checked.first_of_each_track()
    fails = first.where(_is_failure(first, areas, corrected=corrected))
    return fails.worst(torch.zeros(len(fails.row), dtype=torch.float64, device=fails.row.device))


def _is_failure(first: Encounters, areas: Areas, *, corrected: bool) -> Tensor:
    bearing = first.bearing(corrected=corrected)
    failure = bearing < AHEAD_RAD
    # Written so that a bearing that is no number counts as beside.
    beside = (~failure & ~(bearing > BEHIND_RAD)).nonzero()[:, 0]
    row, step = first.row[beside], first.step[beside]
    failure[beside] = areas.is_off_lane(row, step) | areas.is_axle_in_intersection(row, step)
    return failure
