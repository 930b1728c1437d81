"""From results of single scenes to statements about candidates: means, medians, groups, paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.evaluation.evaluate import Evaluation, SceneResult
from diffdrive.scene import DrivingCommand

SPEED_EDGES_MPS = (0.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One candidate over one group of scenes. Displacements in metres."""

    candidate: str
    group: str
    num_scenes: int
    ade_mean_m: float
    ade_median_m: float
    fde_mean_m: float
    fde_median_m: float
    min_ade_mean_m: float
    diversity_mean: float
    num_proposals: int
    """The largest number of proposals a scene was answered with."""

    num_misses: int
    num_fallbacks: int

    @property
    def miss_rate(self) -> float:
        """Share of scenes missed, 0..1."""
        return self.num_misses / self.num_scenes


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and the bootstrap interval around it."""

    mean: float
    low: float
    high: float
    level: float
    """Share of the bootstrap means inside, 0..1."""

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How to divide scenes: the labels in the order to show them, and which of them a result belongs to."""

    name: str
    labels: tuple[str, ...]
    label_of: Callable[[SceneResult], str]


def _speed_label(result: SceneResult) -> str:
    return BY_SPEED_LABELS[int(np.searchsorted(SPEED_EDGES_MPS, result.speed_mps, side="right"))]


BY_SPEED_LABELS = ("standing, < 0.5 m/s", "slow, 0.5 to 5 m/s", "medium, 5 to 10 m/s", "fast, > 10 m/s")

ALL = Grouping(name="all scenes", labels=("all",), label_of=lambda result: "all")
BY_COMMAND = Grouping(
    name="driving command",
    labels=tuple(command.name.lower() for command in DrivingCommand),
    label_of=lambda result: result.command.name.lower(),
)
BY_SPEED = Grouping(name="speed at t = 0", labels=BY_SPEED_LABELS, label_of=_speed_label)


def summarise(evaluation: Evaluation, grouping: Grouping = ALL) -> tuple[Summary, ...]:
    """One summary per group with scenes in it and candidate, in the order of the grouping and of the evaluation."""
    groups: dict[str, list[SceneResult]] = {label: [] for label in grouping.labels}
    for result in evaluation.results:
        groups[grouping.label_of(result)].append(result)
    return tuple(
        _summary(name, group, [result for result in results if result.candidate == name])
        for group, results in groups.items()
        if results
        for name in evaluation.candidates
    )


def _summary(candidate: str, group: str, results: Sequence[SceneResult]) -> Summary:
    ade = np.array([result.ade_m for result in results])
    fde = np.array([result.fde_m for result in results])
    return Summary(
        candidate=candidate,
        group=group,
        num_scenes=len(results),
        ade_mean_m=float(ade.mean()),
        ade_median_m=float(np.median(ade)),
        fde_mean_m=float(fde.mean()),
        fde_median_m=float(np.median(fde)),
        min_ade_mean_m=float(np.mean([result.min_ade_m for result in results])),
        diversity_mean=float(np.mean([result.diversity for result in results])),
        num_proposals=max(result.num_proposals for result in results),
        num_misses=sum(result.is_miss for result in results),
        num_fallbacks=sum(not result.is_planned for result in results),
    )


def paired_difference(
    evaluation: Evaluation,
    candidate: str,
    baseline: str,
    generator: np.random.Generator,
    *,
    value_of: Callable[[SceneResult], float] = lambda result: result.ade_m,
    cluster_of: Callable[[SceneResult], str] = lambda result: result.token,
    resamples: int = 4000,
    level: float = 0.95,
) -> Interval:
    """Mean of (candidate - baseline) over scenes. Scenes are paired, so what makes a scene hard for both cancels.

    ``cluster_of`` as for ``mean_interval``: scenes by default.
    """
    pairs = list(zip(evaluation.of(candidate), evaluation.of(baseline), strict=True))
    differences = [value_of(ours) - value_of(theirs) for ours, theirs in pairs]
    clusters = [cluster_of(ours) for ours, _ in pairs]
    return mean_interval(differences, generator, clusters=clusters, resamples=resamples, level=level)


def mean_interval(
    values: Sequence[float],
    generator: np.random.Generator,
    *,
    clusters: Sequence[str] | None = None,
    resamples: int = 4000,
    level: float = 0.95,
) -> Interval:
    """Mean of ``values`` with a percentile bootstrap interval (Efron 1979).

    What is drawn with replacement: single values, or whole ``clusters`` (one name a value), for values that resemble others
    of their cluster, as scenes of one drive do. Raises ``InputError`` for no values and an impossible level.
    """
    if not len(values):
        raise InputError("A bootstrap needs at least one value, got none.")
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"A bootstrap needs a level between 0 and 1 and resamples, got {level} and {resamples}.")
    array = np.asarray(values, dtype=np.float64)
    index = np.arange(len(array)) if clusters is None else np.unique(list(clusters), return_inverse=True)[1]
    sums, counts = np.bincount(index, weights=array), np.bincount(index)
    draws = generator.integers(len(sums), size=(resamples, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(array.mean()), low=float(low), high=float(high), level=level)
