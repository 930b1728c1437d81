"""The planner as a vehicle asks it: inputs of any quality in, a trajectory that can be driven out, in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from diffdrive.runtime.envelope.admission import Admission, HeldInputs, admit
from diffdrive.runtime.envelope.config import EnvelopeConfig
from diffdrive.runtime.envelope.decision import Cycle, Decision, DecisionMemory, decide
from diffdrive.runtime.envelope.inputs import VehicleInputs
from diffdrive.runtime.envelope.watchdog import Answer, Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeMemory:
    """Everything that one cycle leaves to the next."""

    held: HeldInputs = field(default_factory=HeldInputs)
    decision: DecisionMemory = field(default_factory=DecisionMemory)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleOutcome:
    """A cycle from inputs to decision."""

    decision: Decision
    admission: Admission
    cycle: Cycle
    answer: Answer | None
    """None where the planner was not asked."""

    took_s: float
    """On the caller's clock, from the beginning of the cycle to its decision."""


class SafePlanner:
    """Asks a planner once a cycle, inside an envelope.

    ``ask`` is ``AskInThread(planner)`` in a vehicle, ``AskInline(planner)`` where the planner is waited for. ``now_us`` is the
    clock that stamps the inputs, in microseconds; ``clock`` measures durations, in seconds.
    """

    def __init__(
        self,
        ask: Asks,
        config: EnvelopeConfig | None = None,
        *,
        now_us: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config or EnvelopeConfig()
        self.memory = EnvelopeMemory()
        self._ask, self._now_us, self._clock = ask, now_us, clock

    def cycle(self, inputs: VehicleInputs) -> CycleOutcome:
        """One cycle: take the inputs in, ask the planner if they allow it, decide."""
        start, now_us = self._clock(), self._now_us()
        admission, held = admit(inputs, self.memory.held, now_us, self.config.inputs)
        answer = None
        if admission.observation is not None:
            answer = self._ask(admission.observation, self.config.deadline_s - (self._clock() - start))
        cycle = Cycle(
            now_us=now_us,
            plan=None if answer is None else answer.plan,
            reason=" ".join(admission.refusals) if answer is None else answer.reason,
            motion=admission.motion,
        )
        decision, memory = decide(cycle, self.memory.decision, self.config)
        self.memory = EnvelopeMemory(held=held, decision=memory)
        return CycleOutcome(decision=decision, admission=admission, cycle=cycle, answer=answer, took_s=self._clock() - start)
