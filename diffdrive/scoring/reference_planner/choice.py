"""Which of PDM-Closed's proposals it drives: the one that its own forecast says will score best."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffdrive.scoring.aggregate import blank, product, total
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.judge import judge
from diffdrive.scoring.metrics.comfort import comfort
from diffdrive.scoring.metrics.ego_progress import normalise
from diffdrive.scoring.rules import EPDMS, NUM_STEPS, PDMS, Protocol
from diffdrive.scoring.scores import Verdict
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.scoring.simulation import simulate


def proposal_scores(expected: ScoringScene, proposals: np.ndarray) -> np.ndarray:
    """[N] the scores of ``proposals`` [N, 41, 3] in the scene that the planner expects (its forecast as tracks).

    By the rules of the scene's protocol, but: history counts as comfortable, and progress is measured against the best of the
    proposals themselves.
    """
    batch = SceneBatch.of([expected])
    references = torch.from_numpy(np.ascontiguousarray(proposals[None, :, :NUM_STEPS]))
    return _scores(batch, simulate(batch.ego_states, references, corrected=batch.corrected))[0].numpy()


def _scores(batch: SceneBatch, states: Tensor) -> Tensor:
    """[S, N] from states [S, N, 41, 11]."""
    rules = PDMS if batch.protocol is Protocol.V1 else EPDMS
    judgement = judge(batch, states)
    found: dict[str, Verdict] = dict(judgement.verdicts)
    multiplier = product(rules, {name: found[name].value for name in rules.multipliers})
    raw = judgement.progress
    best = (raw * multiplier).amax(dim=1, keepdim=True).expand_as(raw)
    found["ego_progress"] = Verdict.of(normalise(raw, multiplier, best, rules.protocol))
    if rules.protocol is Protocol.V1:
        found["comfort"] = comfort(states, corrected=batch.corrected)
    else:
        found["history_comfort"] = blank(raw, 1.0)
        found["extended_comfort"] = blank(raw, float("nan"))
    return total(rules, {name: found[name].value for name in rules.sub_scores})
