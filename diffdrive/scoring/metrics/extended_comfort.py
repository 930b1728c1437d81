"""Extended comfort of EPDMS (NAVSIM v2): a plan feels like the plan made half a second before, where the two overlap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS
from diffdrive.scoring.savitzky_golay import SavitzkyGolay
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.signals import JERK, SMOOTH, TURN_RATE, headings, rear_axle_accelerations

QUADRATIC_TURN_ACCELERATION = SavitzkyGolay(5, derivative=2)
"""Of headings: parabolas here, cubics in history comfort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedComfortBounds:
    """Root mean squares of the differences between two plans that are just comfortable."""

    acceleration: float = 0.7
    jerk: float = 0.5
    yaw_rate: float = 0.1
    yaw_acceleration: float = 0.1


def extended_comfort(states: Tensor, previous_states: Tensor, *, interval_s: float) -> Verdict:
    """[S, N] one or zero for states [S, N, 41, 11], from those [S, N, 41, 11] of a scene ``interval_s`` before.

    No step decides: the bounds are on means. Raises ``InputError`` if the two overlap by less than a jerk's window.
    """
    lag = round(interval_s / INTERVAL_S)
    overlap = NUM_STEPS - lag
    if not 0 < lag <= NUM_STEPS - JERK.window:
        raise InputError(
            f"Extended comfort compares plans made 0.1 .. {(NUM_STEPS - JERK.window) * INTERVAL_S:.1f} s apart, "
            f"got {interval_s:g} s. Pair each scene with the one half a second before."
        )
    bounds = ExtendedComfortBounds()
    limits = (bounds.acceleration, bounds.jerk, bounds.yaw_rate, bounds.yaw_acceleration)
    is_like = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    for now, before, limit in zip(_signals(states[:, :, :overlap]), _signals(previous_states[:, :, lag:]), limits, strict=True):
        is_like &= (now - before).square().mean(dim=-1).sqrt() <= limit
    return Verdict.of(is_like.to(states.dtype))


def _signals(states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Magnitude of the acceleration, its change, yaw rate and yaw acceleration [S, N, T]."""
    acceleration = SMOOTH(torch.hypot(*rear_axle_accelerations(states)))
    heading = headings(states)
    return acceleration, JERK(acceleration), TURN_RATE(heading), QUADRATIC_TURN_ACCELERATION(heading)
