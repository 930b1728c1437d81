"""Which proposal to drive: the best that the vehicle can drive, and rather the one it already drives than one hardly better."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import Trajectory


class Choice(enum.Enum):
    """Why a proposal was chosen. Every value is a sentence."""

    BEST = "It has the highest score of those that can be driven."
    KEPT = "It goes on with the plan before, and no other is better by the margin."
    CHANGED = "It is better than going on with the plan before, by more than the margin."


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionConfig:
    """How firmly a plan is held on to."""

    margin: float = 0.1
    """By how much the score of another proposal (they sum to one) must be higher for the plan to change."""

    max_departure_m: float = 1.0
    """Mean distance from the plan before, over the times that both cover, up to which a proposal goes on with it."""

    max_bend_m: float = 0.5
    """Mean distance by which the proposal with the highest score may be bent to what the vehicle can do, and still be that
    proposal; bent further it is another plan, and loses its score. 0: proposals are driven as they are."""

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 1:
            raise InputError(f"SelectionConfig.margin must be between 0 and 1, got {self.margin}.")
        if not self.max_departure_m > 0:
            raise InputError(f"SelectionConfig.max_departure_m must be positive metres, got {self.max_departure_m}.")
        if not self.max_bend_m >= 0:
            raise InputError(f"SelectionConfig.max_bend_m must be metres, 0 or more, got {self.max_bend_m}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen proposal."""

    mode: int
    choice: Choice


def select(
    proposals: np.ndarray,
    scores: np.ndarray,
    is_feasible: np.ndarray,
    before: Trajectory | None,
    config: SelectionConfig,
) -> Selection | None:
    """Choose among proposals [M, T, 3] with ``scores`` [M]; None where ``is_feasible`` [M] leaves none.

    ``before`` is the plan before as poses [T, 3] of the same times in the present frame, if there is one.
    """
    if not is_feasible.any():
        return None
    allowed = np.where(is_feasible, scores, -np.inf)
    best = int(allowed.argmax())
    if before is None:
        return Selection(mode=best, choice=Choice.BEST)
    departures = departures_from(before, proposals)
    follows = is_feasible & (departures <= config.max_departure_m)
    if not follows.any():
        return Selection(mode=best, choice=Choice.CHANGED)
    kept = int(np.where(follows, scores, -np.inf).argmax())
    if scores[best] > scores[kept] + config.margin:
        return Selection(mode=best, choice=Choice.CHANGED)
    return Selection(mode=kept, choice=Choice.KEPT)


def departures_from(before: Trajectory, proposals: np.ndarray) -> np.ndarray:
    """[M] mean distance (metres) of each proposal's positions from those of ``before``."""
    steps = proposals[:, :, :2] - before.poses[None, :, :2]
    return np.asarray(np.hypot(steps[..., 0], steps[..., 1]).mean(axis=1))
