"""No at-fault collisions: 0 for hitting a road user, a half for hitting a thing, where the ego is to blame."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.encounters import Encounters
from diffdrive.scoring.overlap.boxes import touches_box
from diffdrive.scoring.scores import Verdict

STOPPED_SPEED = 0.05
"""m/s, at most."""

BEHIND_RAD = math.radians(150.0)

_OBJECT_SCORE = 0.5


def no_at_fault_collisions(encounters: Encounters, areas: Areas, *, corrected: bool) -> Verdict:
    """[F] judged where the boxes meet for the first time, track by track.

    To blame is whoever drives into something that stands or cannot move, or into anything with the front; at the side only
    outside of one's lane. A standing ego is not to blame, nor is one that is hit from behind.
    """
    now = encounters.where(encounters.ahead == 0)
    first = now.first_of_each_track()
    faults = first.where(_is_fault(first, areas, corrected=corrected))
    value = torch.where(faults.is_agent, 0.0, _OBJECT_SCORE).to(torch.float64)
    return faults.worst(value)


def _is_fault(first: Encounters, areas: Areas, *, corrected: bool) -> Tensor:
    moves = first.speed > STOPPED_SPEED
    stands = ~first.is_agent | (first.track_speed <= STOPPED_SPEED)
    is_behind = first.bearing(corrected=corrected) > BEHIND_RAD
    half_length, half_width = first.motion.half_length, first.motion.half_width
    front = touches_box(first.seen_box(), (half_length, -half_width), (half_length, half_width))
    fault = moves & (stands | (~is_behind & front))
    lateral = (moves & ~stands & ~is_behind & ~front).nonzero()[:, 0]
    fault[lateral] = areas.is_off_lane(first.row[lateral], first.step[lateral])
    return fault
