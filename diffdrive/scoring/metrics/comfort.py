"""Comfort of PDMS (NAVSIM v1.1): the four simulated seconds stay within the bounds of comfort.

Accelerations are those of the rear axle. A window as long as the drive turns accelerations into one parabola each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scoring.rules import NUM_STEPS
from diffdrive.scoring.savitzky_golay import SavitzkyGolay
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.signals import (
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

WHOLE_SMOOTH = SavitzkyGolay(NUM_STEPS)
WHOLE_JERK = SavitzkyGolay(NUM_STEPS, derivative=1)


def comfort(states: Tensor, *, corrected: bool) -> Verdict:
    """[S, R] one or zero, and the first step that breaks a bound, from states [S, R, 41, 11].

    ``corrected`` bounds the accelerations in the middle of the body, which the bounds are made for.
    """
    rear = rear_axle_accelerations(states)
    along, across = centre_accelerations(states, corrected=True) if corrected else rear
    heading = headings(states)
    felt = Felt(
        longitudinal_acceleration=WHOLE_SMOOTH(along),
        lateral_acceleration=WHOLE_SMOOTH(across),
        jerk=WHOLE_JERK(SMOOTH(torch.hypot(*rear))),
        longitudinal_jerk=WHOLE_JERK(SMOOTH(along)),
        yaw_acceleration=TURN_ACCELERATION(heading),
        yaw_rate=TURN_RATE(heading),
    )
    broken = ComfortBounds().broken(felt)
    return Verdict.of(1.0 - broken.any(dim=-1).to(states.dtype), step=first_broken(broken))
