"""What happened in a soak, counted as it happens: grows with the number of faults and violations, never with time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from diffdrive.runtime.envelope import CycleOutcome
from diffdrive.simulation.soak.faults import Event, Fault

MOST_VIOLATIONS = 1000
"""So many are kept word by word; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One thing that must not happen."""

    frame: int
    status: str
    faults: tuple[str, ...]
    """At work then."""

    sentence: str


@dataclass(slots=True, kw_only=True)
class FaultTally:
    """How one fault, or one group of them, was answered."""

    events: int = 0
    frames: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """Frames by status, while it lasted."""

    worst_age_s: float = 0.0
    """Of the plan that a decision rested on."""

    worst_recovery: int = 0
    """Frames without a new plan after its end, at most."""

    num_breaches: int = 0


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Everything that is reported."""

    alone: dict[Fault, FaultTally] = field(default_factory=dict)
    paired: dict[Fault, FaultTally] = field(default_factory=dict)
    """Each fault of a pair gets the pair's frames."""

    pairs: FaultTally = field(default_factory=FaultTally)
    quiet: FaultTally = field(default_factory=FaultTally)
    """Frames without a fault."""

    num_frames: int = 0
    num_asked: int = 0
    num_answered: int = 0
    """Times that the planner was asked, and that a network's plan came in time."""

    num_late: int = 0
    """Frames without a fault in which none came: the machine is too slow, or the process is being started."""

    worst_cycle_s: float = 0.0
    worst_carried_age_s: float = 0.0
    """Of a plan that was driven on."""

    breaches: list[Breach] = field(default_factory=list)
    num_breaches: int = 0
    _ended: Event | None = None
    """The last fault, until there is a new plan after it."""

    def add(self, frame: int, event: Event | None, outcome: CycleOutcome, sentences: Sequence[str]) -> None:
        """Count a frame."""
        decision, answer = outcome.decision, outcome.answer
        planned = answer is not None and answer.plan is not None and answer.plan.status.is_planned
        self.num_frames += 1
        self.num_asked += answer is not None
        self.num_answered += planned
        self.num_late += event is None and answer is not None and answer.plan is None
        self.worst_cycle_s = max(self.worst_cycle_s, outcome.took_s)
        if decision.status.name == "CARRIED_ON":
            self.worst_carried_age_s = max(self.worst_carried_age_s, decision.plan_age_s)
        for tally in self._tallies(event):
            tally.frames += 1
            tally.events += event is not None and event.first == frame
            tally.answers[decision.status.name] += 1
            tally.worst_age_s = max(tally.worst_age_s, decision.plan_age_s)
        self._recover(frame, event, is_new=decision.status.is_planned)
        for sentence in sentences:
            self.breach(frame, event, decision.status.name, sentence)

    def breach(self, frame: int, event: Event | None, status: str, sentence: str) -> None:
        """Count something that must not happen."""
        self.num_breaches += 1
        for tally in self._tallies(event):
            tally.num_breaches += 1
        if len(self.breaches) < MOST_VIOLATIONS:
            faults = tuple(str(fault) for fault in event.faults) if event is not None else ()
            self.breaches.append(Breach(frame=frame, status=status, faults=faults, sentence=sentence))

    def _tallies(self, event: Event | None) -> list[FaultTally]:
        if event is None:
            return [self.quiet]
        if len(event.faults) == 1:
            return [self.alone.setdefault(event.faults[0], FaultTally())]
        return [self.pairs, *(self.paired.setdefault(fault, FaultTally()) for fault in event.faults)]

    def _recover(self, frame: int, event: Event | None, *, is_new: bool) -> None:
        """The time since a fault ended counts until a new plan comes, or the next fault: then it is at least so long."""
        ended = self._ended
        if ended is not None and ended is not event:
            for tally in self._tallies(ended):
                tally.worst_recovery = max(tally.worst_recovery, frame - ended.end)
        if event is not None:
            self._ended = event
        elif is_new:
            self._ended = None
