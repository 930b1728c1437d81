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
class _Bound:
    """The mean of ``values`` [C] over the chosen scenes stays at or below ``limit``."""

    name: str
    values: np.ndarray
    limit: float


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
    tags = _tag_matrix(kept)
    bounds = _bounds(kept, config)
    spacing_us = round(config.min_spacing_s * 1e6)
    logs = np.array([each.log_name for each in kept])
    times = np.array([each.timestamp_us for each in kept])
    is_free, is_chosen = np.ones(len(kept), dtype=bool), np.zeros(len(kept), dtype=bool)
    while is_chosen.sum() < count:
        may = is_free & _fits(bounds, is_chosen)
        if not may.any():
            break
        worth = tags @ (1.0 / (_PATIENCE + tags[is_chosen].sum(axis=0)))
        best = int(np.argmax(np.where(may, worth, -1.0)))
        is_chosen[best] = True
        is_free &= ~((logs == logs[best]) & (np.abs(times - times[best]) < spacing_us))
    return [each for each, taken in zip(kept, is_chosen, strict=True) if taken], _why_not(bounds, is_chosen, is_free)


def _why_not(bounds: Sequence[_Bound], is_chosen: np.ndarray, is_free: np.ndarray) -> dict[str, int]:
    """For each that was not chosen the first reason that holds."""
    why: Counter[str] = Counter()
    for i in np.flatnonzero(~is_chosen):
        broken = (bound.name for bound in bounds if not _fits([bound], is_chosen)[i])
        why["too close to a chosen scene" if not is_free[i] else next(broken, "enough of its kind")] += 1
    return dict(why)


def _bounds(kept: Sequence[Candidate], config: BenchmarkConfig) -> list[_Bound]:
    facts = [_facts(each) for each in kept]

    def of(driver: str) -> np.ndarray:
        return np.array([scores[driver] for _, scores in facts])

    still = np.array([tags.manoeuvre is Manoeuvre.STANDING for tags, _ in facts], dtype=np.float64)
    solved = (of("constant_velocity") > config.solved_above).astype(np.float64)
    return [
        _Bound(name="standing share", values=still, limit=config.max_standing_share),
        _Bound(name="constant velocity solves it", values=solved, limit=config.max_solved_share),
        _Bound(name="mean of constant velocity", values=of("constant_velocity"), limit=config.max_mean_constant_velocity),
        _Bound(name="mean of constant turn rate", values=of("constant_turn_rate"), limit=config.max_mean_constant_turn_rate),
        _Bound(name="mean of blind", values=of("blind"), limit=config.max_mean_blind),
        _Bound(name="mean of expert", values=-of("human"), limit=-config.min_mean_expert),
    ]


def _fits(bounds: Sequence[_Bound], is_chosen: np.ndarray) -> np.ndarray:
    """[C] whether each scene, taken next, leaves every mean within its bound."""
    after = int(is_chosen.sum()) + 1
    fits = np.ones(len(is_chosen), dtype=bool)
    for bound in bounds:
        fits &= bound.values[is_chosen].sum() + bound.values <= bound.limit * after + 1e-9
    return fits


def _tag_matrix(kept: Sequence[Candidate]) -> np.ndarray:
    """[C, T] which scene has which tag."""
    names = [_tag_names(each) for each in kept]
    column = {name: i for i, name in enumerate(sorted({name for own in names for name in own}))}
    matrix = np.zeros((len(kept), len(column)))
    for row, own in enumerate(names):
        matrix[row, [column[name] for name in own]] = 1.0
    return matrix


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
