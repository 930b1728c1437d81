"""Run several planners over the same scenes and measure how far each is from what was driven. Open loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.evaluation.displacement import MISS_M, displacements
from diffdrive.evaluation.diversity import mode_diversity
from diffdrive.runtime import Plan, PlanTiming
from diffdrive.scene import DrivingCommand, Modality, Observation, Scene, SceneSource, Trajectory


@dataclass(frozen=True, slots=True)
class Candidate:
    """A planner under test: what it is called, and a function that sees an observation and nothing else."""

    name: str
    plan: Callable[[Observation], Plan | Trajectory]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneResult:
    """One candidate on one scene."""

    candidate: str
    token: str
    log_name: str
    location: str
    command: DrivingCommand
    speed_mps: float
    interval_s: float
    displacement_m: tuple[float, ...]
    """Distance of the chosen trajectory's poses from the driven ones, at interval_s, 2 interval_s, ..."""

    best_of_ade_m: tuple[float, ...]
    """Entry k - 1 is the smallest ADE among the k proposals with the highest scores; one entry for one trajectory."""

    diversity: float = 0.0
    """How different the proposals are (``mode_diversity``), 0 .. 1; 0 of one trajectory."""

    is_planned: bool
    """False where the planner answered with its fallback."""

    timing: PlanTiming
    """Wall time of the plan, stage by stage where the planner tells."""

    @property
    def ade_m(self) -> float:
        """Mean displacement of the chosen trajectory over its poses."""
        return sum(self.displacement_m) / len(self.displacement_m)

    @property
    def fde_m(self) -> float:
        """Displacement of its last pose."""
        return self.displacement_m[-1]

    @property
    def num_proposals(self) -> int:
        return len(self.best_of_ade_m)

    @property
    def min_ade_m(self) -> float:
        """The smallest ADE among all proposals: what a perfect choice would reach."""
        return self.best_of_ade_m[-1]

    @property
    def is_miss(self) -> bool:
        return self.fde_m > MISS_M


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Every result, and where it came from."""

    source: str
    candidates: tuple[str, ...]
    tokens: tuple[str, ...]
    results: tuple[SceneResult, ...]
    """For each scene in order, one result for each candidate in order."""

    def of(self, candidate: str) -> tuple[SceneResult, ...]:
        """The results of one candidate, in scene order. Raises ``InputError`` for a name that was not evaluated."""
        if candidate not in self.candidates:
            raise InputError(f"Candidate '{candidate}' was not evaluated. Evaluated: {', '.join(self.candidates)}.")
        return tuple(result for result in self.results if result.candidate == candidate)


def evaluate(
    source: SceneSource,
    candidates: Sequence[Candidate],
    tokens: Sequence[str] | None = None,
    *,
    sensors: bool = True,
    on_scene: Callable[[int, Scene], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Plan every scene with every candidate. ``on_scene(number done, scene)`` is called after each scene.
    Without ``sensors`` images and sweeps are not loaded: much faster, and enough for planners that need none.

    Raises ``InputError`` for a source without futures, without candidates or scenes, and for names that repeat.
    """
    names = tuple(candidate.name for candidate in candidates)
    chosen = tuple(source.tokens if tokens is None else tokens)
    if not names or len(set(names)) != len(names):
        raise InputError(f"evaluate needs at least one candidate and every name once, got {list(names)}.")
    if Modality.FUTURE not in source.modalities:
        raise InputError(f"Source '{source.name}' has no recorded futures to compare with. Evaluate on driving logs.")
    if not chosen:
        raise InputError(f"Source '{source.name}' gives no scenes to evaluate. Check its folder and filters.")
    results: list[SceneResult] = []
    for index, token in enumerate(chosen):
        scene = source.load(token, sensors=sensors)
        results.extend(measure(scene, candidate, clock=clock) for candidate in candidates)
        if on_scene is not None:
            on_scene(index + 1, scene)
    return Evaluation(source=source.name, candidates=names, tokens=chosen, results=tuple(results))


def measure(scene: Scene, candidate: Candidate, *, clock: Callable[[], float] = time.perf_counter) -> SceneResult:
    """One candidate on one scene. Raises ``InputError`` when the scene has no future or one that is too short."""
    if scene.future is None:
        raise InputError(f"Scene '{scene.token}' has no recorded future to compare with.")
    begin = clock()
    answer = candidate.plan(scene.observation)
    elapsed = clock() - begin
    trajectory = answer.trajectory if isinstance(answer, Plan) else answer
    ranked = answer.proposals[np.argsort(-answer.scores, kind="stable")] if isinstance(answer, Plan) else trajectory.poses[None]
    ranked = ranked if len(ranked) else trajectory.poses[None]
    driven = scene.future.ego.thinned(trajectory.num_poses, trajectory.interval_s).poses
    best_of = np.minimum.accumulate(displacements(ranked, driven).mean(axis=-1))
    return SceneResult(
        candidate=candidate.name,
        token=scene.token,
        log_name=scene.log_name,
        location=scene.location,
        command=scene.observation.command,
        speed_mps=scene.observation.ego.speed,
        interval_s=trajectory.interval_s,
        displacement_m=tuple(float(value) for value in displacements(trajectory.poses, driven)),
        best_of_ade_m=tuple(float(value) for value in best_of),
        diversity=float(mode_diversity(ranked[None])[0]) if len(ranked) > 1 else 0.0,
        is_planned=answer.status.is_planned if isinstance(answer, Plan) else True,
        timing=answer.timing if isinstance(answer, Plan) else PlanTiming(total_s=elapsed),
    )
