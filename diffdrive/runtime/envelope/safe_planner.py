"""The planner as a vehicle asks it: inputs of any quality in, a trajectory that can be driven out, in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from diffdrive.runtime.envelope.admission import Admission, HeldInputs, admit
from diffdrive.runtime.envelope.config import EnvelopeConfig
from diffdrive.runtime.envelope.decision import Cycle, Decision, DecisionMemory, decide
from diffdrive.runtime.envelope.inputs import VehicleInputs
from diffdrive.runtime.envelope.warm_start import PastProposals, Start, WarmStart
from diffdrive.runtime.envelope.watchdog import Answer, Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeMemory:
    """Everything that one cycle leaves to the next."""

    held: HeldInputs = field(default_factory=HeldInputs)
    decision: DecisionMemory = field(default_factory=DecisionMemory)
    past: PastProposals | None = None
    """The last plans, for a warm start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleOutcome:
    """A cycle from inputs to decision."""

    decision: Decision
    admission: Admission
    cycle: Cycle
    answer: Answer | None
    """None where the planner was not asked."""

    start: Start | None = None
    """Where the plan began; None where the planner was not asked, or is always asked cold."""

    took_s: float
    """On the caller's clock, from the beginning of the cycle to its decision."""


class SafePlanner:
    """Asks a planner once a cycle, inside an envelope.

    ``ask`` is ``AskInThread(planner)`` in a vehicle, ``AskInline(planner)`` where the planner is waited for. ``now_us`` is the
    clock that stamps the inputs, in microseconds; ``clock`` measures durations, in seconds. With ``warm_start`` a plan begins
    at the plans before, which asks a planner that takes noise.
    """

    def __init__(
        self,
        ask: Asks,
        config: EnvelopeConfig | None = None,
        *,
        now_us: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        warm_start: WarmStart | None = None,
    ) -> None:
        self.config = config or EnvelopeConfig()
        self.memory = EnvelopeMemory()
        self._warm_start = warm_start
        self._ask, self._now_us, self._clock = ask, now_us, clock

    def cycle(self, inputs: VehicleInputs) -> CycleOutcome:
        """One cycle: take the inputs in, ask the planner if they allow it, decide."""
        start, now_us = self._clock(), self._now_us()
        admission, held = admit(inputs, self.memory.held, now_us, self.config.inputs)
        answer, start_points = None, None
        if admission.observation is not None:
            start_points = self._start(admission, now_us)
            noise = None if start_points is None else start_points.noise
            answer = self._ask(admission.observation, self.config.deadline_s - (self._clock() - start), noise)
        cycle = Cycle(
            now_us=now_us,
            plan=None if answer is None else answer.plan,
            reason=" ".join(admission.refusals) if answer is None else answer.reason,
            motion=admission.motion,
        )
        decision, memory = decide(cycle, self.memory.decision, self.config)
        past = self.memory.past if self._warm_start is None else _remembered(cycle, decision, admission) or self.memory.past
        self.memory = EnvelopeMemory(held=held, decision=memory, past=past)
        took_s = self._clock() - start
        return CycleOutcome(
            decision=decision, admission=admission, cycle=cycle, answer=answer, start=start_points, took_s=took_s
        )

    def _start(self, admission: Admission, now_us: int) -> Start | None:
        if self._warm_start is None or admission.motion is None or admission.observation is None:
            return None
        command = admission.observation.command
        return self._warm_start.start(self.memory.past, admission.motion.odometry_pose, now_us, command)


def _remembered(cycle: Cycle, decision: Decision, admission: Admission) -> PastProposals | None:
    """What was driven and the other proposals, if they were planned in this cycle."""
    if not decision.status.is_planned or cycle.plan is None or cycle.motion is None or admission.observation is None:
        return None
    others = [mode for mode in np.argsort(-cycle.plan.scores, kind="stable") if mode != decision.mode]
    return PastProposals(
        poses=np.concatenate([decision.trajectory.poses[None], cycle.plan.proposals[others]]),
        interval_s=decision.trajectory.interval_s,
        odometry_pose=cycle.motion.odometry_pose,
        stamp_us=cycle.now_us,
        command=admission.observation.command,
    )
