"""Score trajectories: follow them with the simulated vehicle, judge what it did, sum up. Pure torch, float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.scoring.aggregate import UNFILTERED, blank, final_total, forgive, product
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.judge import Judgement, judge
from diffdrive.scoring.metrics.comfort import comfort
from diffdrive.scoring.metrics.ego_progress import normalise
from diffdrive.scoring.metrics.history_comfort import history_comfort
from diffdrive.scoring.rules import EPDMS, NUM_STEPS, PDMS, Protocol, Rules, rules_of
from diffdrive.scoring.scores import Scores, Verdict
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.scoring.simulation import interpolate_references, simulate
from diffdrive.scoring.trajectories import OnInvalid, check_trajectories


def score(
    scenes: ScoringScene | Sequence[ScoringScene] | SceneBatch,
    trajectories: Any,
    *,
    metric: str | None = None,
    interval_s: float = 0.5,
    human_filter: bool = True,
    on_invalid: OnInvalid = "raise",
) -> Scores:
    """Score N proposals in each of S scenes, where the scenes' batch lies (the CPU, unless a ``SceneBatch`` was moved).

    ``trajectories`` [S, N, T, 3] (or [N, T, 3] for one scene): rear-axle poses x, y, heading in the ego frame at t = 0, at
    ``interval_s``, 2 ``interval_s``, ..., four seconds or more. ``metric`` is "pdms", "epdms" or "epdms_prefix"; by default the
    one that the scenes were prepared for. ``human_filter`` forgives what the human lost too (EPDMS only; NAVSIM's default).
    Extended comfort needs two scenes: see ``aggregate.with_extended_comfort``.

    A proposal is compared with PDM-Closed alone, so its score does not depend on the others of the call.

    Raises ``InputError`` for scenes and metrics that do not fit, for wrong shapes, and for trajectories that are no numbers
    (these score zero with ``on_invalid="zero"``).
    """
    batch = _batch_of(scenes)
    given = check_trajectories(trajectories, batch.tokens, on_invalid, batch.ego_states.device)
    references = interpolate_references(batch.ego_states[:, :3], batch.timestamps_us, given.poses, interval_s)
    return score_references(batch, references, metric=metric, human_filter=human_filter, is_valid=given.is_valid)


def score_references(
    batch: SceneBatch,
    references: Tensor,
    *,
    metric: str | None = None,
    human_filter: bool = True,
    is_valid: Tensor | None = None,
) -> Scores:
    """As ``score``, from poses [S, N, 41, 3] every 0.1 s in the frame of each scene, t = 0 included."""
    rules = _rules_for(batch, metric)
    if references.ndim != 4 or references.shape[0] != len(batch.tokens) or references.shape[2:] != (NUM_STEPS, 3):
        raise InputError(
            f"References must have axes [S, N, {NUM_STEPS}, 3] with S = {len(batch.tokens)}, got {list(references.shape)}."
        )
    filters = human_filter and rules.protocol is Protocol.V2
    _check_human(batch, filters)
    valid = torch.ones(references.shape[:2], dtype=torch.bool, device=references.device) if is_valid is None else is_valid
    with torch.inference_mode():
        scores = _scores(rules, batch, references, filters=filters, is_valid=valid)
    # What inference mode makes may not enter a loss; the copies may, as rewards do.
    return _copied(scores)


def _scores(rules: Rules, batch: SceneBatch, references: Tensor, *, filters: bool, is_valid: Tensor) -> Scores:
    proposals = references.shape[1]
    rows = [references, batch.references[:, None]] + ([batch.human_references[:, None]] if filters else [])
    states = simulate(batch.ego_states, torch.cat(rows, dim=1), corrected=batch.corrected)
    judgement = judge(batch, states)
    verdicts = _verdicts(rules, batch, judgement, states, proposals)
    unfiltered = {name: verdict.value for name, verdict in verdicts.items()}
    if filters:
        human = {name: judgement.verdicts[name].value[:, -1:] for name in rules.sub_scores if name not in UNFILTERED}
        verdicts = _with_values(verdicts, forgive(unfiltered, human, batch.has_human))
    verdicts, unfiltered = _nothing_for_invalid(verdicts, unfiltered, is_valid)
    return Scores(
        metric=rules.name,
        tokens=batch.tokens,
        total=final_total(rules, verdicts, unfiltered, is_valid),
        verdicts=verdicts,
        unfiltered=unfiltered,
        states=states[:, :proposals],
        is_valid=is_valid,
    )


def _copied(scores: Scores) -> Scores:
    def copy(verdict: Verdict) -> Verdict:
        return Verdict(
            value=verdict.value.clone(),
            step=verdict.step.clone(),
            agent=verdict.agent.clone(),
            corner=verdict.corner.clone(),
        )

    return replace(
        scores,
        total=scores.total.clone(),
        verdicts={name: copy(verdict) for name, verdict in scores.verdicts.items()},
        unfiltered={name: value.clone() for name, value in scores.unfiltered.items()},
        states=scores.states.clone(),
    )


def _verdicts(rules: Rules, batch: SceneBatch, judgement: Judgement, states: Tensor, proposals: int) -> dict[str, Verdict]:
    """Every sub-score of the proposals, in the order of the rules."""
    found = {name: verdict.rows(0, proposals) for name, verdict in judgement.verdicts.items()}
    multiplier = product(rules, {name: judgement.verdicts[name].value for name in rules.multipliers})
    raw = judgement.progress
    earned = raw * multiplier
    best = torch.maximum(earned[:, :proposals], earned[:, proposals : proposals + 1])
    progress = normalise(raw[:, :proposals], multiplier[:, :proposals], best, rules.protocol)
    found["ego_progress"] = Verdict.of(progress)
    own = states[:, :proposals]
    if rules.protocol is Protocol.V1:
        found["comfort"] = comfort(own, corrected=batch.corrected)
    else:
        found["history_comfort"] = history_comfort(own, batch.past_states, batch.past_lengths, corrected=batch.corrected)
        found["extended_comfort"] = blank(progress, float("nan"))
    return {name: found[name] for name in rules.sub_scores}


def _with_values(verdicts: Mapping[str, Verdict], values: Mapping[str, Tensor]) -> dict[str, Verdict]:
    return {
        name: Verdict(value=values[name], step=verdict.step, agent=verdict.agent, corner=verdict.corner)
        for name, verdict in verdicts.items()
    }


def _nothing_for_invalid(
    verdicts: Mapping[str, Verdict], unfiltered: Mapping[str, Tensor], is_valid: Tensor
) -> tuple[dict[str, Verdict], dict[str, Tensor]]:
    """What is no trajectory earns nothing, and nobody asks where."""
    nothing = blank(next(iter(unfiltered.values())), 0.0)

    def pick(kept: Tensor, other: Tensor) -> Tensor:
        return torch.where(is_valid, kept, other)

    cleared = {
        name: Verdict(
            value=pick(verdict.value, nothing.value),
            step=pick(verdict.step, nothing.step),
            agent=pick(verdict.agent, nothing.agent),
            corner=pick(verdict.corner, nothing.corner),
        )
        for name, verdict in verdicts.items()
    }
    return cleared, {name: pick(value, nothing.value) for name, value in unfiltered.items()}


def _batch_of(scenes: ScoringScene | Sequence[ScoringScene] | SceneBatch) -> SceneBatch:
    if isinstance(scenes, SceneBatch):
        return scenes
    return SceneBatch.of([scenes] if isinstance(scenes, ScoringScene) else scenes)


def _rules_for(batch: SceneBatch, metric: str | None) -> Rules:
    if metric is None:
        return PDMS if batch.protocol is Protocol.V1 else EPDMS
    rules = rules_of(metric)
    if rules.protocol is not batch.protocol:
        raise InputError(
            f"'{metric}' needs scenes prepared by the rules of NAVSIM {rules.protocol.value}, got {batch.protocol.value}. "
            f"Prepare them with metric='{metric}'."
        )
    return rules


def _check_human(batch: SceneBatch, filters: bool) -> None:
    if filters and not bool(batch.has_human.all()):
        scene = batch.tokens[int((~batch.has_human).nonzero()[0])]
        raise InputError(
            f"The human filter needs to know what the human did, and scene '{scene}' has no future. "
            "Score with human_filter=False."
        )
