"""From rows to statements: means of each planner, paired differences between planners with bootstrap intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.evaluation.aggregate import Interval, mean_interval
from diffdrive.evaluation.scoring.rows import SceneScore
from diffdrive.scoring.rules import rules_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """One planner by one metric, over the scenes that could be scored."""

    planner: str
    metric: str
    num_scenes: int
    """Scored ones."""

    num_failed: int
    total: float
    """Mean, 0..1; NaN without a scored scene."""

    interval: Interval | None
    """Of the mean, logs drawn with replacement; None for fewer than two logs."""

    sub_scores: dict[str, float]
    """Means by name; of extended comfort over the scenes that have it, NaN without any."""

    num_with_extended_comfort: int | None
    """None for a metric without it."""

    ade_m: float
    fde_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much higher ``planner`` scores than ``baseline``, over the scenes in which both were scored."""

    metric: str
    planner: str
    baseline: str
    num_scenes: int
    num_logs: int
    mean: float
    interval: Interval | None
    """None for fewer than two logs: one drive says nothing about another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summaries:
    """Every mean and every difference of a job."""

    scores: tuple[ScoreSummary, ...]
    differences: tuple[Difference, ...]
    """Of every two planners, the later one in the job's order as the baseline."""

    seed: int

    def as_json(self) -> dict[str, Any]:
        """In plain types; numbers that do not exist are null."""
        return {
            "scores": [_plain(score) for score in self.scores],
            "differences": [_plain(difference) for difference in self.differences],
            "bootstrap": {"seed": self.seed, "drawn": "logs, with replacement"},
        }


def summarise_scores(
    rows: Sequence[SceneScore], *, planners: Sequence[str], metrics: Sequence[str], seed: int = 0
) -> Summaries:
    """Means of every planner, differences of every two; ``seed`` is that of the bootstrap."""
    groups = {
        (metric, planner): [row for row in rows if (row.metric, row.planner) == (metric, planner)]
        for metric in metrics
        for planner in planners
    }
    return Summaries(
        scores=tuple(_summary(metric, planner, group, seed) for (metric, planner), group in groups.items()),
        differences=tuple(
            difference
            for metric in metrics
            for ours, theirs in itertools.combinations(planners, 2)
            if (difference := _difference(groups[metric, ours], groups[metric, theirs], seed)) is not None
        ),
        seed=seed,
    )


def _summary(metric: str, planner: str, rows: Sequence[SceneScore], seed: int) -> ScoreSummary:
    scored = [row for row in rows if row.is_scored]
    rules = rules_of(metric)
    has_comfort = "extended_comfort" in rules.sub_scores
    return ScoreSummary(
        planner=planner,
        metric=metric,
        num_scenes=len(scored),
        num_failed=len(rows) - len(scored),
        total=_mean([row.total for row in scored]),
        interval=_interval([row.total for row in scored], [row.log_name for row in scored], seed),
        sub_scores={name: _mean([row.sub_scores[name].value for row in scored]) for name in rules.sub_scores},
        num_with_extended_comfort=(
            sum(not math.isnan(row.sub_scores["extended_comfort"].value) for row in scored) if has_comfort else None
        ),
        ade_m=_mean([row.ade_m for row in scored if row.ade_m is not None]),
        fde_m=_mean([row.fde_m for row in scored if row.fde_m is not None]),
    )


def _difference(ours: Sequence[SceneScore], theirs: Sequence[SceneScore], seed: int) -> Difference | None:
    """None where there is no scene in which both were scored."""
    other = {row.token: row for row in theirs if row.is_scored}
    pairs = [(row, other[row.token]) for row in ours if row.is_scored and row.token in other]
    if not pairs:
        return None
    values = [a.total - b.total for a, b in pairs]
    logs = [a.log_name for a, _ in pairs]
    first, second = pairs[0]
    return Difference(
        metric=first.metric,
        planner=first.planner,
        baseline=second.planner,
        num_scenes=len(pairs),
        num_logs=len(set(logs)),
        mean=_mean(values),
        interval=_interval(values, logs, seed),
    )


def _interval(values: Sequence[float], logs: Sequence[str], seed: int) -> Interval | None:
    if len(set(logs)) < 2:
        return None
    return mean_interval(values, np.random.default_rng(seed), clusters=logs)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
