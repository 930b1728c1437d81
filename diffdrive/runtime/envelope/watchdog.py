"""Ask a planner and do not wait for ever."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from diffdrive.runtime.errors import describe
from diffdrive.runtime.plan import Plan
from diffdrive.scene import Observation


class AnswersObservations(Protocol):
    """A ``Planner``, or what stands in for one."""

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a question."""

    plan: Plan | None
    reason: str
    """Why there is no plan; empty where there is one."""

    took_s: float
    """Until the plan, the error, or the end of patience."""


class Asks(Protocol):
    """How a planner is asked."""

    def __call__(self, observation: Observation, patience_s: float, noise: np.ndarray | None = None) -> Answer:
        """``noise`` [M, T, 2] is where the plan begins; None: where the planner always begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskInline:
    """In the caller's thread: it waits for the planner, and throws away what comes too late. For simulation."""

    planner: AnswersObservations
    clock: Callable[[], float] = time.monotonic
    """Seconds."""

    def __call__(self, observation: Observation, patience_s: float, noise: np.ndarray | None = None) -> Answer:
        start = self.clock()
        plan, reason = _asked(self.planner, observation, noise)
        took_s = self.clock() - start
        if took_s > patience_s:
            return Answer(plan=None, reason=_too_late(took_s, patience_s), took_s=took_s)
        return Answer(plan=plan, reason=reason, took_s=took_s)


class AskInThread:
    """In a thread of its own: the caller goes on when the patience ends, whatever the planner does.

    While a question that nobody waits for any more is still being answered, the next ones are refused; its answer is thrown
    away. ``close`` ends the thread; it is a daemon, so a planner that never returns does not keep the process alive.
    """

    def __init__(self, planner: AnswersObservations, clock: Callable[[], float] = time.monotonic) -> None:
        self._planner, self._clock = planner, clock
        self._questions: queue.SimpleQueue[tuple[int, Observation, np.ndarray | None] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[int, Plan | None, str]] = queue.SimpleQueue()
        self._asked = self._answered = 0
        self._thread = threading.Thread(target=self._work, name="diffdrive-planner", daemon=True)
        self._thread.start()

    def __call__(self, observation: Observation, patience_s: float, noise: np.ndarray | None = None) -> Answer:
        start = self._clock()
        self._drop_late_answers()
        if self._answered < self._asked:
            return Answer(plan=None, reason="The planner is still busy with an earlier cycle.", took_s=0.0)
        self._asked += 1
        self._questions.put((self._asked, observation, noise))
        try:
            self._answered, plan, reason = self._answers.get(timeout=max(patience_s, 0.0))
        except queue.Empty:
            took_s = self._clock() - start
            return Answer(plan=None, reason=_too_late(took_s, patience_s), took_s=took_s)
        return Answer(plan=plan, reason=reason, took_s=self._clock() - start)

    def close(self) -> None:
        """End the thread once it has answered what it was asked."""
        self._questions.put(None)

    def _drop_late_answers(self) -> None:
        while True:
            try:
                self._answered, _, _ = self._answers.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            number, observation, noise = question
            self._answers.put((number, *_asked(self._planner, observation, noise)))


def _asked(planner: AnswersObservations, observation: Observation, noise: np.ndarray | None) -> tuple[Plan | None, str]:
    try:
        # Planners that always begin at one place, and are never told another, need not know the argument.
        return (planner.plan(observation) if noise is None else planner.plan(observation, noise=noise)), ""
    except Exception as error:  # a vehicle must get an answer whatever a planner does
        return None, f"The planner raised an error: {describe(error)}"


def _too_late(took_s: float, patience_s: float) -> str:
    return f"The planner did not answer within {patience_s:.3f} s ({took_s:.3f} s)."
