"""How much noise each level carries: the "scaled linear" variance-preserving schedule (Rombach et al. 2022).

Level 0 is the cleanest noisy level; what has no noise at all is called clean, not a level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSchedule:
    """``beta`` grows from ``beta_start`` to ``beta_end`` over ``num_levels``, linearly in its square root."""

    num_levels: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02

    def __post_init__(self) -> None:
        if self.num_levels < 1 or not 0.0 < self.beta_start <= self.beta_end < 1.0:
            raise InputError(
                f"NoiseSchedule needs num_levels >= 1 and 0 < beta_start <= beta_end < 1, "
                f"got {self.num_levels}, {self.beta_start}, {self.beta_end}."
            )

    def alpha_bar(self, level: int) -> float:
        """Share of signal variance left at ``level``. Raises ``InputError`` outside 0 .. num_levels - 1."""
        if not 0 <= level < self.num_levels:
            raise InputError(f"Noise level {level} is outside this schedule's 0 .. {self.num_levels - 1}.")
        return _alpha_bars(self)[level]

    def signal_and_noise(self, level: int) -> tuple[float, float]:
        """``(sqrt(alpha_bar), sqrt(1 - alpha_bar))``: the weights of signal and noise at ``level``."""
        alpha_bar = self.alpha_bar(level)
        return math.sqrt(alpha_bar), math.sqrt(1.0 - alpha_bar)

    def add_noise(self, clean: Tensor, noise: Tensor, level: int | Tensor) -> Tensor:
        """``x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps`` (Ho et al. 2020, eq. 4).

        ``clean`` and ``noise`` broadcast to [B, ...]; ``level`` is one number, or an integer tensor [B] with one per sample.
        """
        if isinstance(level, int):
            signal, spread = self.signal_and_noise(level)
            return signal * clean + spread * noise
        alpha_bar = torch.tensor(_alpha_bars(self), dtype=torch.float64, device=level.device)[level]
        alpha_bar = alpha_bar.reshape(-1, *[1] * (noise.ndim - 1))
        return alpha_bar.sqrt().to(noise.dtype) * clean + (1.0 - alpha_bar).sqrt().to(noise.dtype) * noise


@lru_cache(maxsize=8)
def _alpha_bars(schedule: NoiseSchedule) -> tuple[float, ...]:
    # Single precision on purpose: 1 - alpha_bar is about 1e-4 at level 0, so the rounding of the table that the public
    # weights were trained with moves points by 0.1 mm; the exact table would be a different one.
    root = torch.linspace(schedule.beta_start**0.5, schedule.beta_end**0.5, schedule.num_levels, dtype=torch.float32)
    return tuple(torch.cumprod(1.0 - root**2, dim=0).tolist())
