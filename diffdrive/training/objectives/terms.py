"""Named loss terms and how much each one counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveWeights:
    """The defaults are what the public checkpoint was trained with."""

    trajectory: float = 12.0
    """Of every decoder layer's score and pose loss together."""

    score: float = 10.0
    """Of the focal loss on scores, within the trajectory loss."""

    pose: float = 8.0
    """Of the L1 loss on the matched proposal, within the trajectory loss."""

    agent_class: float = 10.0
    agent_box: float = 1.0
    bev_semantic: float = 14.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if not getattr(self, field.name) >= 0.0:
                raise InputError(f"ObjectiveWeights.{field.name} must not be negative, got {getattr(self, field.name)}.")


@dataclass(frozen=True, slots=True)
class LossTerms:
    """Scalar tensors by name, already weighted: their sum is what to minimise."""

    terms: Mapping[str, Tensor]

    @property
    def total(self) -> Tensor:
        """The sum of all terms."""
        return torch.stack(list(self.terms.values())).sum()
