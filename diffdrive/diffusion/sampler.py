"""Turn a predicted clean sample into the next, less noisy one. Deterministic DDIM (Song et al. 2021, eq. 12, eta = 0).

Pure functions on tensors: no network, no state, no random numbers. The caller owns the loop:

    x_t = schedule.add_noise(anchors, noise, jumps.start_level)
    for from_level, to_level in jumps.jumps:
        x0_hat = network(x_t, from_level)
        x_t = step(x_t, x0_hat, from_level, to_level, schedule)     # unless to_level is CLEAN: then x0_hat is the result
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.diffusion.schedule import NoiseSchedule

CLEAN = -1
"""The destination of the last jump: no noise left."""

Guidance = Callable[[Tensor, int], Tensor]
"""``(x0_hat, level) -> x0_hat``: moves a predicted clean sample before the jump is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpTable:
    """Which levels a plan passes through."""

    start_level: int
    """Noise level given to the anchors before the first pass."""

    jumps: tuple[tuple[int, int], ...]
    """Every jump as (from_level, to_level). One network pass each, told ``from_level``; the last goes to ``CLEAN``."""

    clips_prediction: bool
    """Clip the prediction to the box in the signal term of ``step`` (the noise term always uses it unclipped)."""

    def __post_init__(self) -> None:
        if not self.jumps or self.jumps[-1][1] != CLEAN:
            raise InputError(f"JumpTable.jumps must end with a jump to clean ({CLEAN}), got {self.jumps}.")
        levels = [self.start_level, *(level for jump in self.jumps for level in jump)][:-1]
        if min(levels) < 0:
            raise InputError(f"JumpTable: only the last jump may go to clean ({CLEAN}), got {self.jumps}.")
        if any(to_level >= from_level for from_level, to_level in self.jumps):
            raise InputError(f"JumpTable: every jump must go to a lower level, got {self.jumps}.")


def step(
    x_t: Tensor,
    x0_hat: Tensor,
    from_level: int,
    to_level: int,
    schedule: NoiseSchedule,
    *,
    clips_prediction: bool = False,
    guidance: Guidance | None = None,
) -> Tensor:
    """One jump from ``from_level`` to ``to_level``; all tensors in box coordinates, any shape.

        eps = (x_t - sqrt(a_from) x0_hat) / sqrt(1 - a_from)
        x_s = sqrt(a_to) x0_hat + sqrt(1 - a_to) eps

    With ``clips_prediction`` the second line uses ``clip(x0_hat, -1, 1)`` while ``eps`` keeps the unclipped prediction; for a
    prediction outside the box this is not the same as clipping first. A jump to ``CLEAN`` returns ``x0_hat`` itself.
    """
    if guidance is not None:
        x0_hat = guidance(x0_hat, from_level)
    if to_level == CLEAN:
        return x0_hat
    signal_from, noise_from = schedule.signal_and_noise(from_level)
    signal_to, noise_to = schedule.signal_and_noise(to_level)
    eps = (x_t - signal_from * x0_hat) / noise_from
    signal = x0_hat.clamp(-1.0, 1.0) if clips_prediction else x0_hat
    return signal_to * signal + noise_to * eps
