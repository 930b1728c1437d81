"""Which levels a plan passes through: the tables that have names, and how they are made."""

from __future__ import annotations

from diffdrive.contracts import InputError
from diffdrive.diffusion.sampler import CLEAN, JumpTable

TRUNCATED_LEVELS = 20
"""Plans that start from anchors spread their passes over this many levels, however many were trained."""

REFERENCE_START = 8
NUM_LEVELS = 1000


def reference_table(steps: int) -> JumpTable:
    """What the public code does in ``steps`` passes: noise at level 8 whatever the first pass is told, then one level a jump.

    The levels that its passes are told are spread over 20: (0), (10, 0), (13, 7, 0). One level is not the stride between
    them, so a later pass sees almost the noisy points of the first one (95 % of them in two passes) although it is told that
    they are cleaner.
    """
    told = _spread(steps, TRUNCATED_LEVELS)
    jumps = tuple((level, level - 1) for level in told[:-1])
    return JumpTable(start_level=REFERENCE_START, jumps=(*jumps, (0, CLEAN)), clips_prediction=True)


def ddim_table(steps: int) -> JumpTable:
    """The same levels with the strides that they promise: noise at the first of them, jump to the next, then to clean.

    One pass would begin at level 0, with nothing to remove; it begins at level 10, as two passes do.
    """
    return _strides(_spread(steps, TRUNCATED_LEVELS) if steps != 1 else (TRUNCATED_LEVELS // 2,))


def noise_table(steps: int, num_levels: int = NUM_LEVELS) -> JumpTable:
    """From pure noise: ``steps`` equal strides through all of a schedule's levels (Song et al. 2021), 950, 900 .. 0 of 20."""
    return _strides(_spread(steps, num_levels))


def _strides(levels: tuple[int, ...]) -> JumpTable:
    jumps = tuple(zip(levels, (*levels[1:], CLEAN), strict=True))
    return JumpTable(start_level=levels[0], jumps=jumps, clips_prediction=False)


def _spread(steps: int, num_levels: int) -> tuple[int, ...]:
    if not 1 <= steps <= num_levels:
        raise InputError(f"A table over {num_levels} levels has 1 .. {num_levels} steps, got {steps}.")
    return tuple(round(index * num_levels / steps) for index in reversed(range(steps)))


REFERENCE = reference_table(2)
"""What the public checkpoint was evaluated with."""

DDIM = ddim_table(2)
"""Noise at level 10, jump to level 0, then to clean."""

JUMP_TABLES = {
    "reference": REFERENCE,
    "reference-1": reference_table(1),
    "reference-3": reference_table(3),
    "ddim": DDIM,
    "ddim-1": ddim_table(1),
    "ddim-3": ddim_table(3),
    "vanilla-20": noise_table(20),
}
"""``vanilla-20`` is for planners that start from pure noise, the others for those that start from anchors."""
