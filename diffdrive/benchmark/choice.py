"""Choose the scenes of a split by stated rules: drop what tells nothing, then balance what is left within bounds.

Nothing is random and nothing is picked by hand: the same candidates and rules give the same choice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.benchmark.candidates import Candidate
from diffdrive.benchmark.config import BenchmarkConfig, Split
from diffdrive.benchmark.tags import EventTag, Manoeuvre, SceneTags
from diffdrive.contracts import InputError
from diffdrive.world.events import EventKind

SCRIPTED = frozenset(EventTag(kind.value) for kind in EventKind)
_PATIENCE = 5.0
"""A tag is worth 1 / (this + the number of chosen scenes that have it): the rarer so far, the more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The scenes of a split, and what became of the others."""

    scenes: tuple[Candidate, ...]
    """Sorted by token."""

    dropped: dict[str, int]
    """How many candidates were dropped by which rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """The mean of each column of ``values`` [C, B] over the chosen scenes stays at or below its limit [B]."""

    names: tuple[str, ...]
    values: np.ndarray
    limits: np.ndarray

    def fit(self, sums: np.ndarray, count: int) -> np.ndarray:
        """[C, B] which bounds each scene keeps if it joins ``count`` others whose values add up to ``sums`` [B]."""
        return self.values <= self.limits * (count + 1) - sums + 1e-9


def choose(candidates: Sequence[Candidate], split: Split, config: BenchmarkConfig) -> Choice:
    """At most ``split.num_scenes`` of ``candidates``.

    Scene after scene, the one is taken whose tags (manoeuvre, density, light, each event, town, and the cell of manoeuvre,
    density and first event) are rarest among those taken before, out of those that leave every mean and share within its
    bound. So the bounds hold for the result, however many scenes it has. Raises ``InputError`` where not a single scene is
    left.
    """
    kept, dropped = _kept(candidates, split, config)
    # An order that no generator knows, for scenes that are worth the same.
    kept.sort(key=lambda each: hashlib.sha256(each.token.encode()).digest())
    chosen, reasons = _balanced(kept, split.num_scenes, config)
    if not chosen:
        raise InputError(
            f"None of {len(candidates)} scenes meets the rules of split '{split.name}' (dropped: {dropped | reasons}). "
            "Generate more towns, or relax the rules."
        )
    return Choice(scenes=tuple(sorted(chosen, key=lambda each: each.token)), dropped=dropped | reasons)


def is_hard(candidate: Candidate, config: BenchmarkConfig) -> bool:
    """Whether the simple drivers fail, or a scripted event happens."""
    tags, scores = _facts(candidate)
    fails = max(scores["constant_velocity"], scores["blind"]) < config.hard_below
    return fails or not SCRIPTED.isdisjoint(tags.events)


def _facts(candidate: Candidate) -> tuple[SceneTags, dict[str, float]]:
    if candidate.tags is None or candidate.scores is None:
        raise InputError(f"Scene '{candidate.token}' was not judged ({candidate.error}): drop it before choosing.")
    return candidate.tags, dict(candidate.scores)


def _kept(candidates: Sequence[Candidate], split: Split, config: BenchmarkConfig) -> tuple[list[Candidate], dict[str, int]]:
    """What the rules about single scenes leave, and how many each drops."""
    dropped = {"cannot be judged": 0, "expert scores too little": 0} | ({"not hard": 0} if split.is_hard else {})
    kept = []
    for each in candidates:
        if each.error:
            dropped["cannot be judged"] += 1
        elif _facts(each)[1]["human"] < config.min_expert:
            dropped["expert scores too little"] += 1
        elif split.is_hard and not is_hard(each, config):
            dropped["not hard"] += 1
        else:
            kept.append(each)
    return kept, dropped


def _balanced(kept: Sequence[Candidate], count: int, config: BenchmarkConfig) -> tuple[list[Candidate], dict[str, int]]:
    if not kept:
        return [], {}
    tags, num_tags = _tag_table(kept)
    bounds = _bounds(kept, config)
    spacing_us = round(config.min_spacing_s * 1e6)
    logs = np.unique([each.log_name for each in kept], return_inverse=True)[1]
    times = np.array([each.timestamp_us for each in kept])
    is_free = np.ones(len(kept), dtype=bool)
    chosen: list[int] = []
    seen, sums = np.zeros(num_tags + 1), np.zeros(len(bounds.names))
    # What rows are filled up with has been seen so often that it is worth nothing.
    seen[num_tags] = np.inf
    while len(chosen) < count:
        may = is_free & bounds.fit(sums, len(chosen)).all(axis=1)
        if not may.any():
            break
        worth = (1.0 / (_PATIENCE + seen))[tags].sum(axis=1)
        best = int(np.argmax(np.where(may, worth, -1.0)))
        chosen.append(best)
        np.add.at(seen, tags[best], 1.0)
        sums += bounds.values[best]
        is_free &= (logs != logs[best]) | (np.abs(times - times[best]) >= spacing_us)
    fits = bounds.fit(sums, len(chosen))
    return [kept[i] for i in chosen], _why_not(bounds.names, fits, is_free, np.isin(np.arange(len(kept)), chosen))


def _why_not(names: Sequence[str], fits: np.ndarray, is_free: np.ndarray, is_chosen: np.ndarray) -> dict[str, int]:
    """How many were not chosen for which reason: the first that holds. ``fits`` [C, B] is for a choice of one more."""
    why: Counter[str] = Counter()
    for i in np.flatnonzero(~is_chosen):
        broken = next((name for name, fit in zip(names, fits[i], strict=True) if not fit), "enough of its kind")
        why[broken if is_free[i] else "too close to a chosen scene"] += 1
    return dict(why)


def _bounds(kept: Sequence[Candidate], config: BenchmarkConfig) -> _Bounds:
    facts = [_facts(each) for each in kept]

    def of(driver: str) -> np.ndarray:
        return np.array([scores[driver] for _, scores in facts])

    still = np.array([tags.manoeuvre is Manoeuvre.STANDING for tags, _ in facts], dtype=np.float64)
    solved = (of("constant_velocity") > config.solved_above).astype(np.float64)
    columns = (
        ("standing share", still, config.max_standing_share),
        ("constant velocity solves it", solved, config.max_solved_share),
        ("mean of constant velocity", of("constant_velocity"), config.max_mean_constant_velocity),
        ("mean of constant turn rate", of("constant_turn_rate"), config.max_mean_constant_turn_rate),
        ("mean of blind", of("blind"), config.max_mean_blind),
        ("mean of expert", -of("human"), -config.min_mean_expert),
    )
    return _Bounds(
        names=tuple(name for name, _, _ in columns),
        values=np.column_stack([values for _, values, _ in columns]),
        limits=np.array([limit for _, _, limit in columns]),
    )


def _tag_table(kept: Sequence[Candidate]) -> tuple[np.ndarray, int]:
    """[C, K] the numbers of each scene's tags, and how many tags there are; rows are filled up with that number."""
    names = [sorted(_tag_names(each)) for each in kept]
    number = {name: i for i, name in enumerate(sorted({name for own in names for name in own}))}
    table = np.full((len(kept), max(len(own) for own in names)), len(number))
    for row, own in enumerate(names):
        table[row, : len(own)] = [number[name] for name in own]
    return table, len(number)


def _tag_names(candidate: Candidate) -> set[str]:
    tags, _ = _facts(candidate)
    first = tags.events[0].value if tags.events else "nothing"
    return {
        f"manoeuvre {tags.manoeuvre.value}",
        f"density {tags.density.value}",
        f"light {tags.light.value}",
        f"town {candidate.location}",
        f"cell {tags.manoeuvre.value} {tags.density.value} {first}",
        *(f"event {event.value}" for event in tags.events or ()),
    }
