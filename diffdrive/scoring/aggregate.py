"""From sub-scores to one score: progress against the yardstick, the human filter, the weighted mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scoring.rules import Rules, rules_of
from diffdrive.scoring.scores import NONE, Scores, Verdict

UNFILTERED = frozenset({"ego_progress", "history_comfort", "extended_comfort"})
"""Sub-scores that the human filter never touches: the human has no yardstick, no history and no preceding scene here."""


def product(rules: Rules, values: Mapping[str, Tensor]) -> Tensor:
    """The product of the multipliers, of the shape of the sub-scores ``values``."""
    return torch.stack([values[name] for name in rules.multipliers]).prod(dim=0)


def total(rules: Rules, values: Mapping[str, Tensor]) -> Tensor:
    """The score of sub-scores ``values``, all of one shape. A NaN among the weighted ones leaves the mean with its weight."""
    weighted = torch.stack([values[name] for name in rules.weights])
    weights = weighted.new_tensor(list(rules.weights.values())).reshape(-1, *([1] * (weighted.ndim - 1)))
    known = ~weighted.isnan()
    mean = (weighted.nan_to_num() * weights).sum(dim=0) / (known * weights).sum(dim=0)
    return product(rules, values) * mean


def forgive(values: Mapping[str, Tensor], human: Mapping[str, Tensor], has_human: Tensor) -> dict[str, Tensor]:
    """The human filter: sub-scores [S, N] become one where the human's [S, 1] is exactly zero (a half is not forgiven).

    ``has_human`` [S] is false for scenes without a human to compare with.
    """
    return {
        name: value if name in UNFILTERED else torch.where((human[name] == 0) & has_human[:, None], 1.0, value)
        for name, value in values.items()
    }


def with_extended_comfort(scores: Scores, verdict: Verdict, is_known: Tensor) -> Scores:
    """The same scores with ``extended_comfort``, totals included.

    ``verdict`` [S, N] compares each proposal with its predecessor in the preceding scene; ``is_known`` [S] is false for scenes
    that have none: there the sub-score stays NaN. Raises ``InputError`` for a metric that has no extended comfort.
    """
    rules = rules_of(scores.metric)
    if "extended_comfort" not in rules.weights:
        raise InputError(f"'{scores.metric}' has no extended comfort. Score with 'epdms'.")
    absent = blank(scores.total, float("nan"))
    known = is_known[:, None]
    value = torch.where(known, verdict.value, absent.value)
    step = torch.where(known, verdict.step, absent.step)
    verdicts = {**scores.verdicts, "extended_comfort": Verdict.of(value, step=step)}
    unfiltered = {**scores.unfiltered, "extended_comfort": value}
    return replace(
        scores, verdicts=verdicts, unfiltered=unfiltered, total=final_total(rules, verdicts, unfiltered, scores.is_valid)
    )


def final_total(rules: Rules, verdicts: Mapping[str, Verdict], unfiltered: Mapping[str, Tensor], is_valid: Tensor) -> Tensor:
    """[S, N] the total that the rules ask for: of the filtered sub-scores, or of those before the filter."""
    values = {name: verdict.value for name, verdict in verdicts.items()} if rules.filter_reaches_total else unfiltered
    return torch.where(is_valid, total(rules, values), 0.0)


def blank(like: Tensor, value: float) -> Verdict:
    """A verdict of ``value`` everywhere, without a reason, of the shape and device of ``like``."""
    none = torch.full(like.shape, NONE, dtype=torch.int64, device=like.device)
    return Verdict(value=torch.full_like(like, value), step=none, agent=none, corner=none)
