"""What ``diffdrive.scoring`` says about golden scenes, in the shape of the official results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from golden_scoring import Answers, GoldenScene, Results

from diffdrive.scoring.aggregate import product, total, with_extended_comfort
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.judge import judge
from diffdrive.scoring.metrics.ego_progress import normalise
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.rules import Protocol, Rules
from diffdrive.scoring.score import score, score_references
from diffdrive.scoring.scores import Scores
from diffdrive.scoring.simulation import simulate

PREFIX = "epdms_prefix"
INTERVAL_S = 0.5
"""Between a golden scene and its preceding one."""


def library_answers(goldens: Sequence[GoldenScene], rules: Rules, batch_size: int, device: str = "cpu") -> Iterator[Answers]:
    """From ``diffdrive.scoring``, ``batch_size`` scenes at a time. Preceding scenes must come before those that need them."""
    states: dict[str, dict[str, torch.Tensor]] = {}
    for _, alike in groupby(goldens, key=lambda golden: (len(golden.cases), golden.has_timestamp)):
        members = list(alike)
        for start in range(0, len(members), batch_size):
            yield from _library_batch(members[start : start + batch_size], rules, device, states)


def _library_batch(
    goldens: Sequence[GoldenScene], rules: Rules, device: str, known: dict[str, dict[str, torch.Tensor]]
) -> Iterator[Answers]:
    batch = SceneBatch.of([golden.scene for golden in goldens], device=device)
    filters = bool(batch.has_human.all()) and rules.protocol is Protocol.V2
    scores = _score(batch, goldens, rules, filters)
    for golden, own in zip(goldens, scores.states, strict=True):
        known[golden.scene.token] = {case.name: each for case, each in zip(golden.cases, own, strict=True)}
    without_ec = total(rules, scores.unfiltered)
    unfiltered = scores
    if rules.protocol is Protocol.V2:
        scores = _compare_with_preceding(scores, goldens, known)
        # What NAVSIM's total was before its filter reached it is the total without a filter.
        unfiltered = _compare_with_preceding(replace(scores, metric=PREFIX), goldens, known)
    planner, planner_states = _planner_rows(batch, scores, rules)
    human, human_states = _human_rows(batch, rules) if filters else (None, None)
    for i in range(len(goldens)):
        plain = {
            **_pick(unfiltered.unfiltered, i),
            "total": _numpy(unfiltered.total[i]),
            "total_without_ec": _numpy(without_ec[i]),
        }
        yield Answers(
            states=_numpy(scores.states[i]),
            unfiltered=plain,
            filtered={**{name: _numpy(scores[name][i]) for name in rules.sub_scores}, "total": _numpy(scores.total[i])}
            if filters
            else None,
            planner=_pick(planner, i),
            planner_states=_numpy(planner_states[i, 0]),
            human=None if human is None else _pick(human, i),
            human_states=None if human_states is None else _numpy(human_states[i, 0]),
        )


def _score(batch: SceneBatch, goldens: Sequence[GoldenScene], rules: Rules, filters: bool) -> Scores:
    if goldens[0].has_timestamp:
        poses = np.array([[case.poses for case in golden.cases] for golden in goldens])
        return score(batch, poses, metric=rules.name, human_filter=filters)
    references = torch.tensor(
        np.array([[case.reference for case in golden.cases] for golden in goldens]), device=batch.ego_states.device
    )
    return score_references(batch, references, metric=rules.name, human_filter=filters)


def _compare_with_preceding(
    scores: Scores, goldens: Sequence[GoldenScene], known: dict[str, dict[str, torch.Tensor]]
) -> Scores:
    previous = torch.stack(
        [
            torch.stack([known[golden.previous_token or golden.scene.token][case.name] for case in golden.cases])
            for golden in goldens
        ]
    )
    is_known = torch.tensor([golden.previous_token is not None for golden in goldens], device=previous.device)
    return with_extended_comfort(scores, extended_comfort(scores.states, previous, interval_s=INTERVAL_S), is_known)


def _planner_rows(batch: SceneBatch, scores: Scores, rules: Rules) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """PDM-Closed's row: its progress is measured against each proposal in turn, the rest is the same for all."""
    proposals = scores.total.shape[1]
    alone = score_references(batch, batch.references[:, None], metric=rules.name, human_filter=False)
    judgement = judge(batch, torch.cat([scores.states, alone.states], dim=1))
    multiplier = product(rules, {name: judgement.verdicts[name].value for name in rules.multipliers})
    earned, raw = judgement.progress * multiplier, judgement.progress[:, proposals:]
    best = torch.maximum(earned[:, :proposals], earned[:, proposals:])
    found = {name: alone[name].expand(-1, proposals) for name in rules.sub_scores}
    size = (-1, proposals)
    found["ego_progress"] = normalise(raw.expand(size), multiplier[:, proposals:].expand(size), best, rules.protocol)
    return found, alone.states


def _human_rows(batch: SceneBatch, rules: Rules) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The human's row, without what the filter never looks at."""
    states = simulate(batch.ego_states, batch.human_references[:, None], corrected=batch.corrected)
    return {name: verdict.value for name, verdict in judge(batch, states).verdicts.items()}, states


def _pick(results: Any, scene: int) -> Results:
    return {name: _numpy(values[scene]) for name, values in results.items()}


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
