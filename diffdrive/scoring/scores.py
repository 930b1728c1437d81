"""What scoring returns: the totals, every sub-score, and why each was lost.

Axes: S scenes | N proposals | R rows that are judged together (the proposals, PDM-Closed and, for the filter, the human).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

CORNERS = ("front left", "rear left", "rear right", "front right", "centre")
"""What ``Verdict.corner`` counts."""

NONE = -1
"""In ``Verdict``: there is no such step, agent or corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One sub-score, and where it was lost. An index is ``NONE`` where nothing was lost or where it has no meaning."""

    value: Tensor
    """[S, R] in 0..1."""

    step: Tensor
    """[S, R] the step (of 0.1 s) that decided."""

    agent: Tensor
    """[S, R] the track of the scene that decided."""

    corner: Tensor
    """[S, R] which part of the ego decided, an index into ``CORNERS``."""

    @classmethod
    def of(
        cls, value: Tensor, *, step: Tensor | None = None, agent: Tensor | None = None, corner: Tensor | None = None
    ) -> Verdict:
        """A verdict whose reasons are blank where ``value`` is one, and where they are not given."""
        blank = torch.full(value.shape, NONE, dtype=torch.int64, device=value.device)
        lost = value < 1

        def reason(given: Tensor | None) -> Tensor:
            return blank if given is None else torch.where(lost, given, blank)

        return cls(value=value, step=reason(step), agent=reason(agent), corner=reason(corner))

    def rows(self, start: int, stop: int) -> Verdict:
        """The rows ``start`` .. ``stop`` of every scene."""
        part = slice(start, stop)
        return Verdict(
            value=self.value[:, part], step=self.step[:, part], agent=self.agent[:, part], corner=self.corner[:, part]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of N proposals in each of S scenes."""

    metric: str
    tokens: tuple[str, ...]
    total: Tensor
    """[S, N] in 0..1."""

    verdicts: Mapping[str, Verdict]
    """Every sub-score [S, N] of the metric by its name, after the human filter; the reasons are those before it.
    ``extended_comfort`` is NaN without a preceding scene."""

    unfiltered: Mapping[str, Tensor]
    """The sub-scores [S, N] before the human filter."""

    states: Tensor
    """[S, N, 41, 11] how the vehicle would follow each proposal, in the scene's frame; columns as in ``vehicle.state``."""

    is_valid: Tensor
    """[S, N] false for trajectories that were no numbers and score zero (``on_invalid="zero"``)."""

    def __getitem__(self, sub_score: str) -> Tensor:
        """[S, N] a sub-score by name."""
        return self.verdicts[sub_score].value

    def is_forgiven(self, sub_score: str) -> Tensor:
        """[S, N] where the human filter raised a sub-score to one, because the human lost it too."""
        return self[sub_score] > self.unfiltered[sub_score]
