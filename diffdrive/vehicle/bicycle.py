"""How the vehicle moves: a kinematic bicycle about the rear axle whose actuators lag behind their commands.

Explicit Euler steps, as in nuPlan's simulator: positions and heading advance by the speed and steering at the start of a step.
Every function takes and returns tensors of any shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.vehicle.dimensions import PACIFICA


@dataclass(frozen=True, slots=True, kw_only=True)
class BicycleModel:
    """The constants of the vehicle and of its discretisation. The defaults are nuPlan's."""

    wheel_base: float = PACIFICA.wheel_base
    """Metres."""

    interval_s: float = 0.1
    """One step."""

    acceleration_lag_s: float = 0.2
    """Time constant with which the acceleration approaches its command."""

    steering_lag_s: float = 0.05
    """Time constant with which the steering angle approaches its command."""

    max_steering: float = math.pi / 3
    """Radians to either side."""

    def __post_init__(self) -> None:
        for name in ("wheel_base", "interval_s", "max_steering"):
            if not getattr(self, name) > 0:
                raise InputError(f"BicycleModel.{name} must be positive, got {getattr(self, name)}.")
        for name in ("acceleration_lag_s", "steering_lag_s"):
            if not getattr(self, name) >= 0:
                raise InputError(f"BicycleModel.{name} must be zero (no lag) or positive, got {getattr(self, name)}.")

    @property
    def acceleration_share(self) -> float:
        """The part of the way to its command that the acceleration goes in one step."""
        return self.interval_s / (self.interval_s + self.acceleration_lag_s)

    @property
    def steering_share(self) -> float:
        """The part of the way to its command that the steering angle goes in one step."""
        return self.interval_s / (self.interval_s + self.steering_lag_s)

    def yaw_rate(self, velocity: Tensor, steering: Tensor) -> Tensor:
        """rad/s while rolling with ``velocity`` (m/s) and ``steering`` (radians)."""
        return velocity * steering.tan() / self.wheel_base
