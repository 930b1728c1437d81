"""History comfort of EPDMS (NAVSIM v2): the simulated drive, continued from the past, stays within the bounds of comfort."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.signals import (
    JERK,
    SMOOTH,
    TURN_ACCELERATION,
    TURN_RATE,
    ComfortBounds,
    Felt,
    centre_accelerations,
    first_broken,
    headings,
    rear_axle_accelerations,
)


def history_comfort(states: Tensor, past_states: Tensor, past_lengths: Tensor, *, corrected: bool) -> Verdict:
    """[S, R] one or zero, and the first step that breaks a bound (zero if it lies in the past), from states [S, R, 41, 11].

    ``past_states`` [S, H, 11] come right before; only the last ``past_lengths`` [S] of them are samples. A scene without any is
    comfortable. All samples count as 0.1 s apart, though the devkit leaves out the one before the present; ``prepare`` fills
    that gap in corrected scenes. ``corrected`` here gives rotation its axes: see ``centre_accelerations``.
    """
    known = past_states.shape[1]
    if known == 0:
        return Verdict.of(states.new_ones(states.shape[:2]))
    samples = torch.cat([past_states[:, None].expand(-1, states.shape[1], -1, -1), states], dim=2)
    missing = known - past_lengths
    along, across = centre_accelerations(samples, corrected=corrected)
    smooth = SMOOTH(torch.stack([along, across, torch.hypot(*rear_axle_accelerations(samples))], dim=1), missing)
    jerk = JERK(smooth, missing)
    heading = headings(samples)
    felt = Felt(
        longitudinal_acceleration=smooth[:, 0],
        lateral_acceleration=smooth[:, 1],
        jerk=jerk[:, 2],
        longitudinal_jerk=jerk[:, 0],
        yaw_acceleration=TURN_ACCELERATION(heading, missing),
        yaw_rate=TURN_RATE(heading, missing),
    )
    # What is missing comes out of the filters as zero, which breaks nothing.
    broken = ComfortBounds().broken(felt) & (past_lengths > 0)[:, None, None]
    step = (first_broken(broken) - known).clamp(min=0)
    return Verdict.of(1.0 - broken.any(dim=-1).to(states.dtype), step=step)
