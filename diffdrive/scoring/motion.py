"""Where the ego's body is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.state import HEADING, VELOCITY_X, VELOCITY_Y, X, Y

HALF_LENGTH = PACIFICA.length / 2
HALF_WIDTH = PACIFICA.width / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Poses of axes [..., ]: F rows of T steps, or any N of them. Positions are relative to the origin of their scene."""

    rear_axle: Tensor
    """[..., 2]."""

    direction: Tensor
    """[..., 2] cosine and sine of the heading."""

    centre: Tensor
    """[..., 2] of the body."""

    speed: Tensor
    """[...] m/s."""

    scenes: Tensor
    """[F], or [N], the scene of each row or pose."""

    @classmethod
    def of(cls, states: Tensor, origins: Tensor) -> Motion:
        """From states [S, R, T, 11] and the origins [S, 2] of the scenes, with the rows of all scenes one after another.

        The subtraction of the origin is exact for numbers of like size.
        """
        scenes, rows = states.shape[:2]
        rear_axle = torch.stack([states[..., X], states[..., Y]], dim=-1).sub_(origins[:, None, None]).flatten(0, 1)
        heading = states[..., HEADING].flatten(0, 1)
        direction = torch.stack([heading.cos(), heading.sin()], dim=-1)
        return cls(
            rear_axle=rear_axle,
            direction=direction,
            centre=rear_axle + PACIFICA.rear_axle_to_center * direction,
            speed=torch.hypot(states[..., VELOCITY_X], states[..., VELOCITY_Y]).flatten(0, 1),
            scenes=torch.arange(scenes, device=states.device).repeat_interleave(rows),
        )

    def at(self, row: Tensor, step: Tensor) -> Motion:
        """The poses at pairs of a row and a step [N]."""
        flat = Motion(
            rear_axle=self.rear_axle.flatten(0, 1),
            direction=self.direction.flatten(0, 1),
            centre=self.centre.flatten(0, 1),
            speed=self.speed.flatten(),
            scenes=self.scenes,
        )
        return flat.take(row * self.speed.shape[1] + step, row)

    def take(self, pose: Tensor, scene_of: Tensor | None = None) -> Motion:
        """Of N poses, those at the indices ``pose``."""
        return Motion(
            rear_axle=self.rear_axle.index_select(0, pose),
            direction=self.direction.index_select(0, pose),
            centre=self.centre.index_select(0, pose),
            speed=self.speed.index_select(0, pose),
            scenes=self.scenes.index_select(0, pose if scene_of is None else scene_of),
        )

    def corners(self) -> tuple[Tensor, Tensor]:
        """x and y [..., 4] in the order of ``scores.CORNERS``."""
        cosine, sine = self.direction.unbind(-1)
        x, y = self.centre.unbind(-1)
        return _corners(x, cosine * HALF_LENGTH, -sine * HALF_WIDTH), _corners(y, sine * HALF_LENGTH, cosine * HALF_WIDTH)

    def seen(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """x forward and y left of the centre [N, K], of ``points`` [N, K, 2], one set a pose."""
        x, y = (points - self.centre[:, None]).unbind(-1)
        cosine, sine = self.direction[:, None].unbind(-1)
        return x * cosine + y * sine, y * cosine - x * sine


def _corners(centre: Tensor, forward: Tensor, left: Tensor) -> Tensor:
    front, rear = centre + forward, centre - forward
    return torch.stack([front + left, rear + left, rear - left, front - left], dim=-1)
