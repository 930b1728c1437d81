"""Time to collision: 0 where the ego, driven straight on for up to 0.9 s, would run into someone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.scoring.areas import Areas
from diffdrive.scoring.encounters import Candidates
from diffdrive.scoring.meetings import Meetings
from diffdrive.scoring.scores import Verdict

STOPPED_SPEED = 0.005
"""m/s, below."""

AHEAD_RAD = math.radians(30.0)
BEHIND_RAD = math.radians(150.0)


def meetings_ahead(candidates: Candidates, steps: int) -> Tensor:
    """[BLOCK, 4, C] the meetings that this rule asks for: now and ahead, at the first ``steps`` steps, while the ego moves."""
    checked = (candidates.step < steps) & (candidates.speed >= STOPPED_SPEED)
    return checked[:, None].expand_as(candidates.may_meet)


def time_to_collision(meetings: Meetings, areas: Areas) -> Verdict:
    """[F] judged where the boxes would meet for the first time, track by track.

    What is ahead counts; what is beside counts where the ego is in several lanes, off the road or in an intersection. What the
    collision rule ignores is looked at here all the same.
    """
    is_ahead = meetings.bearing < AHEAD_RAD
    # Written so that a bearing that is no number counts as beside.
    is_beside = ~is_ahead & ~(meetings.bearing > BEHIND_RAD)
    exposed = meetings.is_off_lane | areas.is_axle_in_intersection(meetings.ego)
    fails = is_ahead | (is_beside & exposed)
    return meetings.worst((~fails).to(torch.float64))
