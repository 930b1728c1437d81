"""How big the ego vehicle is and where its rear axle sits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleDimensions:
    """Outer dimensions, metres."""

    length: float
    width: float
    height: float
    wheel_base: float
    rear_axle_to_center: float
    """Distance from the rear axle forward to the centre of the body."""

    def __post_init__(self) -> None:
        for name in ("length", "width", "height", "wheel_base"):
            if not getattr(self, name) > 0:
                raise InputError(f"VehicleDimensions.{name} must be positive metres, got {getattr(self, name)}.")

    def boxes(self, rear_axle_poses: np.ndarray) -> np.ndarray:
        """Body boxes [..., 5] (x, y, heading, length, width; centred) of rear-axle poses [..., 3]."""
        poses = np.asarray(rear_axle_poses, dtype=np.float64)
        x = poses[..., 0] + self.rear_axle_to_center * np.cos(poses[..., 2])
        y = poses[..., 1] + self.rear_axle_to_center * np.sin(poses[..., 2])
        extent = np.broadcast_to([self.length, self.width], (*poses.shape[:-1], 2))
        return np.concatenate([x[..., None], y[..., None], poses[..., 2:3], extent], axis=-1)


# The car behind nuPlan and NAVSIM (Chrysler Pacifica), as published with the nuPlan devkit.
PACIFICA = VehicleDimensions(length=5.176, width=2.297, height=1.777, wheel_base=3.089, rear_axle_to_center=1.461)
