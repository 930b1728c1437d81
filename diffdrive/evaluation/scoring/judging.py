"""Score the frames of one chunk by one metric: one batch of scenes, extended comfort between neighbours included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diffdrive.evaluation.scoring.frames import Answer, Failure, Frame, attempt
from diffdrive.evaluation.scoring.rows import SceneScore, SubScore
from diffdrive.scoring.aggregate import with_extended_comfort
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.rules import INTERVAL_S, Rules
from diffdrive.scoring.score import score
from diffdrive.scoring.scores import CORNERS, NONE, Scores, Verdict
from diffdrive.scoring.scoring_scene import ScoringScene

Layout = tuple[int, float]
"""Number of poses and seconds between them: only trajectories of one layout fit into one array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores of some planners in some frames, all in one layout."""

    frames: tuple[Frame, ...]
    scenes: tuple[ScoringScene, ...]
    planners: tuple[str, ...]
    scores: Scores


def judge_frames(frames: Sequence[Frame], rules: Rules, planners: Sequence[str], *, human_filter: bool) -> list[SceneScore]:
    """One row for each frame and planner, in that order."""
    rows: dict[tuple[str, str], SceneScore] = {}
    for layout in _layouts(frames, rules, planners):
        rows |= _judge_layout(frames, rules, planners, layout, human_filter=human_filter)
    missing = {
        (frame.place.token, name): _failed(frame, rules, name, _why(frame, rules, name))
        for frame in frames
        for name in planners
        if (frame.place.token, name) not in rows
    }
    return [(rows | missing)[frame.place.token, name] for frame in frames for name in planners]


def judge_layout(
    frames: Sequence[Frame], rules: Rules, planners: Sequence[str], layout: Layout, *, human_filter: bool
) -> Judged:
    """Score those ``planners`` that answer in ``layout``; every frame must be prepared. Raises what ``score`` raises."""
    protocol = rules.protocol
    scenes = tuple(scene for frame in frames if isinstance(scene := frame.prepared[protocol], ScoringScene))
    names = tuple(name for name in planners if any(_fits(frame, rules, name, layout) for frame in frames))
    poses = np.full((len(frames), len(names), layout[0], 3), np.nan)
    for i, frame in enumerate(frames):
        for j, name in enumerate(names):
            answer = frame.answers[name, protocol]
            if isinstance(answer, Answer) and _layout(answer) == layout:
                poses[i, j] = answer.trajectory.poses
    scores = score(scenes, poses, metric=rules.name, interval_s=layout[1], human_filter=human_filter, on_invalid="zero")
    if "extended_comfort" in rules.sub_scores:
        scores = _with_neighbours(scores, frames, scenes)
    return Judged(frames=tuple(frames), scenes=scenes, planners=names, scores=scores)


def _judge_layout(
    frames: Sequence[Frame], rules: Rules, planners: Sequence[str], layout: Layout, *, human_filter: bool
) -> dict[tuple[str, str], SceneScore]:
    ready = [frame for frame in frames if isinstance(frame.prepared[rules.protocol], ScoringScene)]
    rows: dict[tuple[str, str], SceneScore] = {}

    def judged(some: Sequence[Frame]) -> Judged | Failure:
        return attempt(lambda: judge_layout(some, rules, planners, layout, human_filter=human_filter))

    result = judged(ready)
    if isinstance(result, Failure):
        # One scene spoils a batch: find it by scoring each alone, report it, and score the others together.
        alone = {frame.place.token: judged([frame]) for frame in ready}
        spoilt = {token: one.reason for token, one in alone.items() if isinstance(one, Failure)}
        reasons = spoilt or dict.fromkeys(alone, result.reason)
        for frame in ready:
            if frame.place.token in reasons:
                error = f"cannot be scored: {reasons[frame.place.token]}"
                named = [name for name in planners if _fits(frame, rules, name, layout)]
                rows |= {(frame.place.token, name): _failed(frame, rules, name, error) for name in named}
        ready = [frame for frame in ready if frame.place.token not in reasons]
        result = judged(ready) if ready else result
    return rows if isinstance(result, Failure) else rows | _rows(result, rules, layout)


def _rows(judged: Judged, rules: Rules, layout: Layout) -> dict[tuple[str, str], SceneScore]:
    found = {}
    for i, frame in enumerate(judged.frames):
        for j, name in enumerate(judged.planners):
            if not _fits(frame, rules, name, layout):
                continue
            if judged.scores.is_valid[i, j]:
                found[frame.place.token, name] = _row(judged, i, j)
            else:
                # The scorer would give it zero; a reader must see why.
                found[frame.place.token, name] = _failed(frame, rules, name, "cannot be scored: poses absurdly far away")
    return found


def _row(judged: Judged, i: int, j: int) -> SceneScore:
    frame, name, scores = judged.frames[i], judged.planners[j], judged.scores
    answer = frame.answers[name, judged.scenes[i].protocol]
    return SceneScore(
        planner=name,
        metric=scores.metric,
        token=frame.place.token,
        log_name=frame.place.log_name,
        timestamp_us=frame.place.timestamp_us,
        command=frame.command,
        speed_mps=frame.speed_mps,
        total=float(scores.total[i, j]),
        sub_scores={
            sub: _sub_score(verdict, bool(scores.is_forgiven(sub)[i, j]), judged.scenes[i], i, j)
            for sub, verdict in scores.verdicts.items()
        },
        ade_m=answer.ade_m if isinstance(answer, Answer) else None,
        fde_m=answer.fde_m if isinstance(answer, Answer) else None,
    )


def _sub_score(verdict: Verdict, is_forgiven: bool, scene: ScoringScene, i: int, j: int) -> SubScore:
    step, agent, corner = (int(index[i, j]) for index in (verdict.step, verdict.agent, verdict.corner))
    return SubScore(
        value=float(verdict.value[i, j]),
        step=None if step == NONE else step,
        agent=None if agent == NONE else scene.tracks.tokens[agent],
        corner=None if corner == NONE else CORNERS[corner],
        is_forgiven=is_forgiven,
    )


def _with_neighbours(scores: Scores, frames: Sequence[Frame], scenes: Sequence[ScoringScene]) -> Scores:
    """Extended comfort of each proposal against the same planner's in the scene before."""
    now = [i for i in range(1, len(frames)) if frames[i].place.follows(frames[i - 1].place)]
    if not now:
        return scores
    gaps_s = {i: (scenes[i].timestamp_us - scenes[i - 1].timestamp_us) * 1e-6 for i in now}
    value = torch.full_like(scores.total, torch.nan)
    step = torch.full_like(scores.total, NONE, dtype=torch.int64)
    for lag in sorted({round(gap / INTERVAL_S) for gap in gaps_s.values()}):
        rows = [i for i in now if round(gaps_s[i] / INTERVAL_S) == lag]
        before = [i - 1 for i in rows]
        verdict = extended_comfort(scores.states[rows], scores.states[before], interval_s=lag * INTERVAL_S)
        both = scores.is_valid[rows] & scores.is_valid[before]
        value[rows] = torch.where(both, verdict.value, torch.nan)
        step[rows] = torch.where(both, verdict.step, NONE)
    known = torch.zeros(len(frames), dtype=torch.bool)
    known[now] = True
    return with_extended_comfort(scores, Verdict.of(value, step=step), known)


def _layouts(frames: Sequence[Frame], rules: Rules, planners: Sequence[str]) -> list[Layout]:
    answers = [frame.answers[name, rules.protocol] for frame in frames for name in planners]
    return sorted({_layout(answer) for answer in answers if isinstance(answer, Answer)})


def _layout(answer: Answer) -> Layout:
    return answer.trajectory.num_poses, answer.trajectory.interval_s


def _fits(frame: Frame, rules: Rules, name: str, layout: Layout) -> bool:
    answer = frame.answers[name, rules.protocol]
    return isinstance(answer, Answer) and _layout(answer) == layout


def _why(frame: Frame, rules: Rules, name: str) -> str:
    for found in (frame.prepared[rules.protocol], frame.answers[name, rules.protocol]):
        if isinstance(found, Failure):
            return found.reason
    return "cannot be scored"


def _failed(frame: Frame, rules: Rules, name: str, error: str) -> SceneScore:
    answer = frame.answers[name, rules.protocol]
    return SceneScore(
        planner=name,
        metric=rules.name,
        token=frame.place.token,
        log_name=frame.place.log_name,
        timestamp_us=frame.place.timestamp_us,
        command=frame.command,
        speed_mps=frame.speed_mps,
        ade_m=answer.ade_m if isinstance(answer, Answer) else None,
        fde_m=answer.fde_m if isinstance(answer, Answer) else None,
        error=error,
    )
