"""Plan one observation at a time: features, network, choice, and a safe answer when one of them cannot be had.

planner = Planner.from_checkpoint(folder)
plan = planner.plan(scene.observation)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from diffdrive.contracts import Axes, InputError
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.runtime.attempt import Answer, Attempt, CannotPlanError
from diffdrive.runtime.engine import Engine, EngineOptions
from diffdrive.runtime.engines import make_engine
from diffdrive.runtime.errors import describe
from diffdrive.runtime.fallback import comfortable_stop
from diffdrive.runtime.plan import Plan, PlanStatus, PlanTiming
from diffdrive.scene import Observation, Trajectory

MAX_FAILURES = 3
"""Failures in a row after which a planner that has a spare engine no longer asks the first one."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How an attempt went; ``marks`` are clock readings at its beginning and after each stage it finished."""

    answer: Answer | None
    status: PlanStatus
    detail: str
    marks: list[float]


class Planner:
    """Turns observations into plans. The same observation always gives the same plan.

    ``engine`` runs the network; ``seed`` makes the noise that every plan starts from; ``clock`` returns seconds.
    ``spare`` plans the frames on which ``engine`` fails, and all of them once it failed ``MAX_FAILURES`` times in a row.
    It must be made for the same modes, poses and interval. Raises ``InputError`` where it is not, and for engines with a
    batch size other than one.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        spare: Engine | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        for each in (engine, spare or engine):
            _check_spec(each, like=engine)
        self.engine = engine
        self._clock = clock
        self._first = Attempt(engine, seed)
        self._spare = None if spare is None else Attempt(spare, seed)
        self._failures = 0
        self._last_failure = ""

    @classmethod
    def from_checkpoint(
        cls,
        folder: Path | str,
        *,
        engine: str = "eager",
        options: EngineOptions | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> Planner:
        """A planner with the ``engine`` of that name (see ``runtime.ENGINES``).

        Raises ``InputError`` when the checkpoint cannot be read or does not fit, and as ``make_engine`` does.
        """
        return cls(make_engine(engine, load_checkpoint(Path(folder)), options), seed=seed, clock=clock)

    def warm_up(self) -> None:
        """Have the engines do now what would make the first plan slow.

        Raises what the engine raises; with a spare, what the spare raises: a first engine that cannot start is then
        never asked.
        """
        if self._spare is None:
            self.engine.warm_up()
            return
        self._spare.engine.warm_up()
        try:
            self.engine.warm_up()
        except Exception as error:  # that is what the spare is for
            self._failures, self._last_failure = MAX_FAILURES, describe(error)

    def plan(self, observation: Observation, *, noise: np.ndarray | None = None) -> Plan:
        """Plan, and never raise because of what the sensors delivered: ``Plan.status`` says how it went.

        ``noise`` [M, T, 2], standard normal, replaces the planner's own; raises ``InputError`` when its shape is wrong.
        """
        own_noise = None if noise is None else self._checked(noise)
        start = self._clock()
        outcome = self._outcome(observation, own_noise, start)
        spec = self.engine.spec
        detail = outcome.detail
        if outcome.answer is None:
            trajectory, note = self._stop(observation)
            detail = f"{detail} {note}".strip()
            proposals, scores = np.zeros((0, spec.num_poses, 3)), np.zeros(0)
        else:
            proposals, scores = outcome.answer.proposals, outcome.answer.scores
            trajectory = Trajectory(proposals[int(scores.argmax())], interval_s=spec.interval_s)
        end = self._clock()
        return Plan(
            trajectory=trajectory,
            proposals=proposals,
            scores=scores,
            status=outcome.status,
            detail=detail,
            timing=_timing([*outcome.marks, end], total_s=end - start),
        )

    def _outcome(self, observation: Observation, noise: torch.Tensor | None, start: float) -> _Outcome:
        if self._failures < MAX_FAILURES or self._spare is None:
            first = self._attempt(self._first, observation, noise, start)
            if self._spare is None or not first.status.is_engine_failure:
                # A frame without sensor data says nothing about the engine.
                self._failures = self._failures if first.answer is None else 0
                return first
            self._failures, self._last_failure = self._failures + 1, f"{first.status.value} {first.detail}"
            start = self._clock()
        second = self._attempt(self._spare, observation, noise, start)
        if second.answer is None:
            return second
        return _Outcome(second.answer, PlanStatus.PLANNED_BY_SPARE, self._last_failure, second.marks)

    def _attempt(self, attempt: Attempt, observation: Observation, noise: torch.Tensor | None, start: float) -> _Outcome:
        marks = [start]
        try:
            features = attempt.features(observation)
            marks.append(self._clock())
            answer = attempt.network(features, noise)
            marks.append(self._clock())
        except CannotPlanError as failure:
            return _Outcome(None, failure.status, failure.detail, marks)
        degraded = attempt.engine.degraded
        return _Outcome(answer, PlanStatus.PLANNED_DEGRADED if degraded else PlanStatus.PLANNED, degraded, marks)

    def _checked(self, noise: np.ndarray) -> torch.Tensor:
        _, modes, poses, axes = self.engine.spec.noise_shape
        Axes("Planner.plan").check("noise", noise, f"{modes} {poses} {axes}", finite=True)
        return torch.as_tensor(np.array(noise, dtype=np.float32))[None]

    def _stop(self, observation: Observation) -> tuple[Trajectory, str]:
        spec = self.engine.spec
        try:
            return comfortable_stop(observation.ego, spec.num_poses, spec.interval_s), ""
        except Exception:  # without a readable speed there is no braking distance
            stay = Trajectory(np.zeros((spec.num_poses, 3)), interval_s=spec.interval_s)
            return stay, "The ego state is unreadable too: the trajectory stays where the car is."


def _check_spec(engine: Engine, like: Engine) -> None:
    spec, wanted = engine.spec, like.spec
    if spec.batch_size not in (None, 1):
        raise InputError(
            f"A planner plans one scene at a time, but engine '{engine.name}' was built for batches of {spec.batch_size}. "
            "Build it with EngineOptions(batch_size=1)."
        )
    if (spec.noise_shape, spec.interval_s) != (wanted.noise_shape, wanted.interval_s):
        raise InputError(
            f"The spare engine must plan {wanted.num_modes} modes of {wanted.num_poses} poses every {wanted.interval_s:g} s, "
            f"got {spec.num_modes} of {spec.num_poses} every {spec.interval_s:g} s. Make both from models of one shape."
        )


def _timing(marks: list[float], total_s: float) -> PlanTiming:
    # An attempt that failed early has fewer marks; the last mark closes whichever stage was running.
    stages = np.diff(marks)
    features, network, selection = [float(stage) for stage in stages] + [0.0] * (3 - len(stages))
    return PlanTiming(features_s=features, network_s=network, selection_s=selection, total_s=total_s)
