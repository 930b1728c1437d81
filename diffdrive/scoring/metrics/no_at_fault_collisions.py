"""No at-fault collisions: 0 for hitting a road user, a half for hitting a thing, where the ego is to blame."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.scoring.encounters import Candidates
from diffdrive.scoring.meetings import Meetings
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.track_table import LOOK_AHEAD_STEPS

STOPPED_SPEED = 0.05
"""m/s, at most."""

BEHIND_RAD = math.radians(150.0)

_OBJECT_COST = 0.5


def meetings_now(candidates: Candidates) -> Tensor:
    """[BLOCK, 4, C] the meetings that this rule asks for: those of now."""
    now = torch.tensor([ahead == 0 for ahead in LOOK_AHEAD_STEPS], device=candidates.row.device)
    return now[:, None].expand_as(candidates.may_meet)


def no_at_fault_collisions(meetings: Meetings) -> Verdict:
    """[F] judged where the boxes meet for the first time, track by track.

    To blame is whoever drives into something that stands or cannot move, or into anything with the front; at the side only
    outside of one's lane. A standing ego is not to blame, nor is one that is hit from behind.
    """
    moves = meetings.ego.speed > STOPPED_SPEED
    stands = ~meetings.is_agent | (meetings.track_speed <= STOPPED_SPEED)
    is_behind = meetings.bearing > BEHIND_RAD
    is_fault = moves & (stands | (~is_behind & (meetings.meets_front() | meetings.is_off_lane)))
    cost = torch.where(meetings.is_agent, 1.0, _OBJECT_COST).to(torch.float64)
    return meetings.worst(1.0 - cost * is_fault)
