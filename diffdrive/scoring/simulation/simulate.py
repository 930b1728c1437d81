"""Drive the vehicle along its references."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from diffdrive.contracts import Axes
from diffdrive.scoring.rules import NUM_STEPS
from diffdrive.vehicle.lqr import NUPLAN_TRACKER, track
from diffdrive.vehicle.state import STATE_SIZE


def simulate(ego_states: Tensor, references: Tensor, *, corrected: bool) -> Tensor:
    """States [S, R, 41, 11] of the ego that starts in ``ego_states`` [S, 11] and follows ``references`` [S, R, 41, 3].

    ``corrected`` smooths the speed profile as nuPlan does, without NAVSIM's slip. Raises ``InputError`` for other shapes.
    """
    axes = Axes("simulate")
    axes.check("ego_states", ego_states, f"S {STATE_SIZE}")
    axes.check("references", references, f"S R {NUM_STEPS} 3")
    initial = ego_states[:, None].expand(-1, references.shape[1], -1)
    return track(initial, references, replace(NUPLAN_TRACKER, textbook_regulariser=corrected))
