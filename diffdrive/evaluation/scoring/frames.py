"""Load a scene, prepare it, and let every planner answer; what goes wrong becomes a value, not an exception."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from diffdrive.evaluation.displacement import displacements
from diffdrive.evaluation.scoring.chunks import Place
from diffdrive.evaluation.scoring.digest import code_digest, scene_digest
from diffdrive.evaluation.scoring.entrants import AnyPlanner, PlansObservations, PlansPreparedScenes, PlansScenes
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.runtime import Plan
from diffdrive.runtime.errors import describe
from diffdrive.scene import Scene, Trajectory
from diffdrive.scoring.preparation import prepare, prepare_all
from diffdrive.scoring.rules import Protocol, Rules
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.scoring.storage import PreparedScenes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something could not be had, in a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one planner wants to do in one scene, and how far that is from what was driven, metres."""

    trajectory: Trajectory
    ade_m: float | None
    fde_m: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One scene with everything that scoring needs."""

    place: Place
    command: str | None = None
    speed_mps: float | None = None
    prepared: Mapping[Protocol, ScoringScene | Failure] = field(default_factory=dict)
    answers: Mapping[tuple[str, Protocol], Answer | Failure] = field(default_factory=dict)
    """By planner and protocol: a planner that sees the prepared scene answers each protocol apart."""


def make_frame(job: ScoringJob, planners: Mapping[str, AnyPlanner], place: Place) -> Frame:
    """The frame of one scene. Never raises because of the scene or of a planner."""
    protocols = {rules.protocol: rules for rules in job.rules}
    scene = attempt(lambda: job.source.load(place.token, sensors=job.needs_sensors))
    if isinstance(scene, Failure):
        failed = Failure(f"cannot be loaded: {scene.reason}")
        return Frame(
            place=place,
            prepared=dict.fromkeys(protocols, failed),
            answers={(name, protocol): failed for name in planners for protocol in protocols},
        )
    prepared = _prepared(job, scene, protocols)
    return Frame(
        place=place,
        command=scene.observation.command.name.lower(),
        speed_mps=scene.observation.ego.speed,
        prepared=prepared,
        answers=_answers(planners, scene, prepared),
    )


def _answers(
    planners: Mapping[str, AnyPlanner], scene: Scene, prepared: Mapping[Protocol, ScoringScene | Failure]
) -> dict[tuple[str, Protocol], Answer | Failure]:
    found: dict[tuple[str, Protocol], Answer | Failure] = {}
    for name, planner in planners.items():
        if isinstance(planner, PlansPreparedScenes):
            found |= {(name, protocol): _privileged(planner, scene, ready) for protocol, ready in prepared.items()}
        else:
            found |= dict.fromkeys(((name, protocol) for protocol in prepared), _answer(planner, scene))
    return found


def attempt(make: Callable[[], T]) -> T | Failure:
    """What ``make`` returns, or why it could not."""
    try:
        return make()
    except Exception as error:  # any: one scene must not end the job
        return Failure(describe(error))


def _prepared(job: ScoringJob, scene: Scene, protocols: Mapping[Protocol, Rules]) -> dict[Protocol, ScoringScene | Failure]:
    """By protocol. What the protocols share is worked out once, and nothing at all that an earlier job has kept."""
    together: dict[str, ScoringScene] = {}

    def make(rules: Rules) -> ScoringScene:
        if not together:
            shared = attempt(lambda: prepare_all(scene, [each.name for each in protocols.values()], corrected=job.corrected))
            if isinstance(shared, Failure):
                # What one protocol lacks may be there for another.
                return prepare(scene, rules.name, corrected=job.corrected)
            together.update(shared)
        return together[rules.name]

    def get(rules: Rules) -> ScoringScene:
        if job.prepared is None:
            return make(rules)
        key = {"scene": digest, "code": code_digest(), "protocol": rules.protocol.value, "corrected": job.corrected}
        return PreparedScenes(job.prepared).get(key, lambda: make(rules))

    digest = "" if job.prepared is None else scene_digest(scene)
    found = {protocol: attempt(partial(get, rules)) for protocol, rules in protocols.items()}
    return {
        protocol: Failure(f"cannot be prepared: {result.reason}") if isinstance(result, Failure) else result
        for protocol, result in found.items()
    }


def _privileged(planner: PlansPreparedScenes, scene: Scene, prepared: ScoringScene | Failure) -> Answer | Failure:
    if isinstance(prepared, Failure):
        return prepared
    return _measured(attempt(lambda: planner.plan_prepared(prepared)), scene)


def _answer(planner: AnyPlanner, scene: Scene) -> Answer | Failure:
    if isinstance(planner, PlansScenes):
        return _measured(attempt(lambda: planner.plan_scene(scene)), scene)
    if isinstance(planner, PlansObservations):
        return _measured(attempt(lambda: _planned(planner, scene)), scene)
    return Failure(f"cannot be planned: {type(planner).__name__} has none of plan, plan_scene and plan_prepared.")


def _planned(planner: PlansObservations, scene: Scene) -> Trajectory | Failure:
    answer = planner.plan(scene.observation)
    if not isinstance(answer, Plan):
        return answer
    if not answer.status.is_planned:
        return Failure(f"{answer.status.value} {answer.detail}".strip())
    return answer.trajectory


def _measured(trajectory: Trajectory | Failure, scene: Scene) -> Answer | Failure:
    if isinstance(trajectory, Failure):
        return Failure(f"cannot be planned: {trajectory.reason}")
    if not isinstance(trajectory, Trajectory):
        return Failure(f"cannot be planned: the planner answered with a {type(trajectory).__name__}, not a Trajectory.")
    distance = attempt(lambda: _displacement(trajectory, scene))
    ade, fde = (None, None) if isinstance(distance, Failure) else distance
    return Answer(trajectory, ade, fde)


def _displacement(trajectory: Trajectory, scene: Scene) -> tuple[float | None, float | None]:
    """ADE and FDE at the times that the trajectory and the recording share."""
    if scene.future is None:
        return None, None
    driven = scene.future.ego
    interval_s = max(trajectory.interval_s, driven.interval_s)
    num_poses = math.floor(min(trajectory.horizon_s, driven.horizon_s) / interval_s + 1e-6)
    ours, theirs = (each.thinned(num_poses, interval_s).poses for each in (trajectory, driven))
    distance = displacements(ours, theirs)
    return float(distance.mean()), float(distance[-1])
