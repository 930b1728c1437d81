"""What a passenger feels: accelerations, jerks and yaw along a sequence of states, and the bounds of comfort.

Filters and bounds are nuPlan's. Axes: S scenes | R rows | T samples, 0.1 s apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from diffdrive.scoring.savitzky_golay import SavitzkyGolay
from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.angles import unwrap_angles
from diffdrive.vehicle.state import ACCELERATION_X, ACCELERATION_Y, HEADING, YAW_ACCELERATION, YAW_RATE

SMOOTH = SavitzkyGolay(8)
"""Of accelerations."""

JERK = SavitzkyGolay(15, derivative=1)
"""From smoothed accelerations."""

TURN_RATE = SavitzkyGolay(5, derivative=1)
"""Of headings."""

TURN_ACCELERATION = SavitzkyGolay(5, order=3, derivative=2)
"""Of headings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """Signals [S, R, T] that comfort bounds."""

    longitudinal_acceleration: Tensor
    lateral_acceleration: Tensor
    jerk: Tensor
    """Change of the magnitude of the acceleration."""

    longitudinal_jerk: Tensor
    yaw_acceleration: Tensor
    yaw_rate: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ComfortBounds:
    """Lowest and highest comfortable values of ``Felt``; the bounds themselves are too much."""

    longitudinal_acceleration: tuple[float, float] = (-4.05, 2.40)
    lateral_acceleration: tuple[float, float] = (-4.89, 4.89)
    jerk: tuple[float, float] = (-8.37, 8.37)
    longitudinal_jerk: tuple[float, float] = (-4.13, 4.13)
    yaw_acceleration: tuple[float, float] = (-1.93, 1.93)
    yaw_rate: tuple[float, float] = (-0.95, 0.95)

    def broken(self, felt: Felt) -> Tensor:
        """[S, R, T] whether any signal of a sample is out of bounds."""
        broken = torch.zeros_like(felt.jerk, dtype=torch.bool)
        for field in fields(self):
            low, high = getattr(self, field.name)
            signal = getattr(felt, field.name)
            broken |= (signal <= low) | (signal >= high)
        return broken


def rear_axle_accelerations(states: Tensor) -> tuple[Tensor, Tensor]:
    """Along and across the vehicle [S, R, T], m/s^2, of states [S, R, T, 11]."""
    return states[..., ACCELERATION_X], states[..., ACCELERATION_Y]


def centre_accelerations(states: Tensor, *, corrected: bool) -> tuple[Tensor, Tensor]:
    """As ``rear_axle_accelerations``, in the middle of the body.

    The devkit adds both terms of the rotation to x, with a plus; ``corrected`` gives each its axis and sign.
    """
    along, across = rear_axle_accelerations(states)
    lever = PACIFICA.rear_axle_to_center
    centripetal = lever * states[..., YAW_RATE].square()
    tangential = lever * states[..., YAW_ACCELERATION]
    if corrected:
        return along - centripetal, across + tangential
    return along + (centripetal + tangential), across


def first_broken(broken: Tensor) -> Tensor:
    """[S, R] the first true sample of [S, R, T]; zero where none is."""
    return broken.to(torch.uint8).argmax(dim=-1)


def headings(states: Tensor) -> Tensor:
    """[S, R, T] without jumps of a full turn."""
    return unwrap_angles(states[..., HEADING])
