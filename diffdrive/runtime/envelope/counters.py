"""How often what happened, and how long it took: counted from the outcomes of cycles, written as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from diffdrive.runtime.envelope.safe_planner import CycleOutcome

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

_HELP = {
    "diffdrive_cycles_total": "Cycles by the rung of the ladder that they ended on.",
    "diffdrive_choices_total": "Driven proposals by why they were chosen.",
    "diffdrive_inputs_total": "Messages by input and condition.",
    "diffdrive_violations_total": "Limits that the proposal with the highest score broke.",
    "diffdrive_infeasible_proposals_total": "Proposals that could not be driven.",
    "diffdrive_plans_total": "Answers of the planner by status.",
    "diffdrive_starts_total": "Plans by where they began.",
    "diffdrive_missed_deadlines_total": "Cycles in which the planner was asked and no plan came.",
    "diffdrive_cycle_seconds": "From the inputs of a cycle to its decision.",
    "diffdrive_planner_seconds": "From the question to the planner's answer.",
    "diffdrive_input_age_seconds": "Age of what is held of an input.",
    "diffdrive_spread_seconds": "Between the oldest and the youngest of cameras and LiDAR.",
    "diffdrive_plan_age_seconds": "Age of the plan that a decision without a new one rests on.",
}


@dataclass(slots=True)
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)
        self.counts[sum(value > bound for bound in self.bounds)] += 1
        self.total += value


Labels = tuple[tuple[str, str], ...]


class EnvelopeCounters:
    """Counts and histograms of everything that the envelope decides. Grows with the number of kinds, never with time."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Labels]] = Counter()
        self._histograms: dict[tuple[str, Labels], _Histogram] = {}

    def add(self, outcome: CycleOutcome) -> None:
        """Count one cycle."""
        decision, admission, answer = outcome.decision, outcome.admission, outcome.answer
        self._count("diffdrive_cycles_total", status=decision.status.name)
        if decision.choice is not None:
            self._count("diffdrive_choices_total", choice=decision.choice.name)
        for violation in decision.violations:
            self._count("diffdrive_violations_total", violation=violation.name)
        self._count("diffdrive_infeasible_proposals_total", decision.num_infeasible)
        for report in admission.reports:
            self._count("diffdrive_inputs_total", input=report.name, condition=report.condition.name)
            if report.age_s is not None:
                self._measure("diffdrive_input_age_seconds", report.age_s, _SECONDS, input=report.name)
        if outcome.start is not None:
            self._count("diffdrive_starts_total", start=outcome.start.kind.name)
        self._measure("diffdrive_spread_seconds", admission.spread_s, _SECONDS)
        self._measure("diffdrive_cycle_seconds", outcome.took_s, _SECONDS)
        if answer is not None:
            self._measure("diffdrive_planner_seconds", answer.took_s, _SECONDS)
            if answer.plan is None:
                self._count("diffdrive_missed_deadlines_total")
            else:
                self._count("diffdrive_plans_total", status=answer.plan.status.name)
        if decision.plan_age_s > 0:
            self._measure("diffdrive_plan_age_seconds", decision.plan_age_s, _SECONDS)

    def prometheus(self) -> str:
        """The text exposition format 0.0.4."""
        lines: list[str] = []
        for name, help_text in _HELP.items():
            counts = sorted((labels, count) for (each, labels), count in self.counts.items() if each == name)
            histograms = sorted((labels, found) for (each, labels), found in self._histograms.items() if each == name)
            if counts:
                lines += [f"# HELP {name} {help_text}", f"# TYPE {name} counter"]
                lines += [f"{name}{_written(labels)} {count}" for labels, count in counts]
            if histograms:
                lines += [f"# HELP {name} {help_text}", f"# TYPE {name} histogram"]
                for labels, found in histograms:
                    lines += _histogram_lines(name, labels, found)
        return "\n".join(lines) + "\n" if lines else ""

    def _count(self, name: str, amount: int = 1, **labels: str) -> None:
        self.counts[name, tuple(labels.items())] += amount

    def _measure(self, name: str, value: float, bounds: Sequence[float], **labels: str) -> None:
        key = (name, tuple(labels.items()))
        self._histograms.setdefault(key, _Histogram(tuple(bounds))).add(value)


def _histogram_lines(name: str, labels: Labels, found: _Histogram) -> list[str]:
    lines, below = [], 0
    for bound, count in zip((*found.bounds, "+Inf"), found.counts, strict=True):
        below += count
        lines.append(f"{name}_bucket{_written((*labels, ('le', str(bound))))} {below}")
    return [*lines, f"{name}_sum{_written(labels)} {found.total!r}", f"{name}_count{_written(labels)} {below}"]


def _written(labels: Labels) -> str:
    escaped = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return "{" + ",".join(escaped) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
