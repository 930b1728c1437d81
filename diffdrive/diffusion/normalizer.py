"""Map ego-frame points in metres to the box in which noise is added, and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxNormalizer:
    """The box of points that becomes [-1, 1] x [-1, 1]. The defaults are the public checkpoint's."""

    x_min_m: float = -1.2
    x_max_m: float = 55.7
    y_min_m: float = -20.0
    y_max_m: float = 26.0

    def __post_init__(self) -> None:
        if not (self.x_min_m < self.x_max_m and self.y_min_m < self.y_max_m):
            raise InputError(
                f"BoxNormalizer needs x_min_m < x_max_m and y_min_m < y_max_m, got x {self.x_min_m} .. {self.x_max_m} "
                f"and y {self.y_min_m} .. {self.y_max_m}."
            )

    def normalize(self, points: Tensor) -> Tensor:
        """[..., 2] metres to box coordinates; points outside the box fall outside [-1, 1]."""
        x, y = points[..., 0], points[..., 1]
        return torch.stack(
            (
                2.0 * (x - self.x_min_m) / (self.x_max_m - self.x_min_m) - 1.0,
                2.0 * (y - self.y_min_m) / (self.y_max_m - self.y_min_m) - 1.0,
            ),
            dim=-1,
        )

    def denormalize(self, points: Tensor) -> Tensor:
        """[..., 2] box coordinates to metres: undoes ``normalize``."""
        x, y = points[..., 0], points[..., 1]
        return torch.stack(
            (
                (x + 1.0) / 2.0 * (self.x_max_m - self.x_min_m) + self.x_min_m,
                (y + 1.0) / 2.0 * (self.y_max_m - self.y_min_m) + self.y_min_m,
            ),
            dim=-1,
        )
