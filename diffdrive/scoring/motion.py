"""Where the ego's body is at every step of every row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.vehicle.state import HEADING, VELOCITY_X, VELOCITY_Y, X, Y


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """F rows of T steps, the rows of all scenes one after another. Positions are relative to the origin of their scene."""

    scenes: Tensor
    """[F] the scene of each row."""

    vehicle: VehicleDimensions
    rear_axle: Tensor
    """[F, T, 2]."""

    direction: Tensor
    """[F, T, 2] cosine and sine of the heading."""

    speed: Tensor
    """[F, T] m/s."""

    centre: Tensor
    """[F, T, 2] of the body."""

    @classmethod
    def of(cls, states: Tensor, origins: Tensor) -> Motion:
        """From states [S, R, T, 11] and the origins [S, 2] of the scenes; the subtraction is exact for numbers of like size."""
        scenes, rows = states.shape[:2]
        rear_axle = (states[..., [X, Y]] - origins[:, None, None]).flatten(0, 1)
        heading = states[..., HEADING].flatten(0, 1)
        direction = torch.stack([heading.cos(), heading.sin()], dim=-1)
        return cls(
            scenes=torch.arange(scenes, device=states.device).repeat_interleave(rows),
            vehicle=PACIFICA,
            rear_axle=rear_axle,
            direction=direction,
            speed=torch.hypot(states[..., VELOCITY_X], states[..., VELOCITY_Y]).flatten(0, 1),
            centre=rear_axle + PACIFICA.rear_axle_to_center * direction,
        )

    @property
    def half_length(self) -> float:
        return self.vehicle.length / 2

    @property
    def half_width(self) -> float:
        return self.vehicle.width / 2

    def corners(self) -> Tensor:
        """[F, T, 4, 2] in the order of ``scores.CORNERS``."""
        return self._around(self.centre, self.direction)

    def corners_at(self, row: Tensor, step: Tensor) -> Tensor:
        """[N, 4, 2] the corners at pairs of a row and a step."""
        return self._around(self.centre[row, step], self.direction[row, step])

    def _around(self, centre: Tensor, direction: Tensor) -> Tensor:
        forward = direction * self.half_length
        left = torch.stack([-direction[..., 1], direction[..., 0]], dim=-1) * self.half_width
        front, rear = centre + forward, centre - forward
        return torch.stack([front + left, rear + left, rear - left, front - left], dim=-2)

    def seen(self, points: Tensor, row: Tensor, step: Tensor) -> Tensor:
        """``points`` [N, ..., 2] in the frame of the body (x forward, y left, centred) of a row and step [N] each."""
        middle = (slice(None), *[None] * (points.ndim - 2))
        offset = points - self.centre[row, step][middle]
        cosine, sine = (part[middle] for part in self.direction[row, step].unbind(-1))
        x, y = offset.unbind(-1)
        return torch.stack([x * cosine + y * sine, y * cosine - x * sine], dim=-1)
