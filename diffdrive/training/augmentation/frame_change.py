"""Express poses, vectors, boxes and grids of one ego frame in another one. Exact, but for the rounding of cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChange:
    """A new ego frame for each of N samples, given as its pose in the old frame."""

    shift: Tensor
    """[N, 2] x, y in the old frame, metres, float32."""

    yaw: Tensor
    """[N] counter-clockwise from the old x axis, radians, float32. So are its cosine and sine, rounded from float64."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, forward: Tensor, left: Tensor, yaw: Tensor, device: torch.device) -> FrameChange:
        """From [N] metres and radians each, float64."""
        shift, angle, cos, sin = (
            value.to(device, torch.float32) for value in (torch.stack([forward, left], dim=-1), yaw, yaw.cos(), yaw.sin())
        )
        return cls(shift=shift, yaw=angle, cos=cos, sin=sin)

    def vectors(self, old: Tensor) -> Tensor:
        """Directions and velocities [N, ..., 2], which have no origin, in the new frame."""
        cos, sin = (value.view(-1, *[1] * (old.ndim - 2)) for value in (self.cos, self.sin))
        x, y = old.unbind(-1)
        return torch.stack([cos * x + sin * y, cos * y - sin * x], dim=-1)

    def poses(self, old: Tensor) -> Tensor:
        """x, y, heading and whatever follows them [N, K, 3 ...] in the new frame; headings in (-pi, pi]."""
        points = self.vectors(old[..., :2] - self.shift[:, None])
        heading = old[..., 2:3] - self.yaw[:, None, None]
        # The turn is small, so one period at most is too much; without one nothing changes, not even the last bit.
        heading = torch.where(heading > math.pi, heading - 2 * math.pi, heading)
        heading = torch.where(heading <= -math.pi, heading + 2 * math.pi, heading)
        return torch.cat([points, heading, old[..., 3:]], dim=-1)

    def grid(self, old: Tensor, *, first_m: tuple[float, float], cell_m: float, unseen: int) -> Tensor:
        """A grid [N, C, R, K] of ground cells, row = x, column = y, as the new frame cuts it; ``first_m`` is its corner.

        Every new cell takes the value of the old cell that its centre lies in, so values stay what they were: single points
        stay single points, and classes classes. Cells from outside get ``unseen``.
        """
        rows, columns = old.shape[2:]
        x = (torch.arange(rows, device=old.device) + 0.5) * cell_m + first_m[0]
        y = (torch.arange(columns, device=old.device) + 0.5) * cell_m + first_m[1]
        cos, sin, shift = self.cos[:, None, None], self.sin[:, None, None], self.shift[:, None, None]
        old_x = cos * x[:, None] - sin * y + shift[..., 0]
        old_y = sin * x[:, None] + cos * y + shift[..., 1]
        row, column = (old_x - first_m[0]).div_(cell_m).floor_().long(), (old_y - first_m[1]).div_(cell_m).floor_().long()
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)  # [N, R, K]
        index = (row * columns + column).where(inside, 0)[:, None].expand(old.shape)
        found = old.flatten(2).gather(2, index.flatten(2)).view_as(old)
        return torch.where(inside[:, None], found, unseen)
