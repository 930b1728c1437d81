"""What a cycle decided and why, as diagnostic_msgs/DiagnosticArray: one status of the planner, one of every input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffdrive.runtime.envelope import CycleOutcome, Decision, DecisionStatus, EnvelopeCounters, InputCondition, InputReport

from .making import MakesMessages, header_message

OK, WARN, ERROR = 0, 1, 2
"""diagnostic_msgs/DiagnosticStatus."""

LEVELS = {
    DecisionStatus.PLANNED: OK,
    DecisionStatus.REPAIRED: WARN,
    DecisionStatus.CARRIED_ON: WARN,
    DecisionStatus.STOPPING: ERROR,
    DecisionStatus.EMERGENCY_STOP: ERROR,
}

_NAME = "diffdrive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What diagnostics tell of."""

    outcome: CycleOutcome
    counters: EnvelopeCounters
    """Since the start."""

    failure: str = ""
    """Why the messages of this cycle could not be looked at, all of them; empty where they were."""


def diagnostics_message(make: MakesMessages, told: Told, *, vehicle: str) -> Any:
    """A diagnostic_msgs/DiagnosticArray, stamped with the time of the cycle; ``vehicle`` becomes the hardware_id.

    Ages and durations are in seconds.
    """
    outcome = told.outcome
    decision, admission = outcome.decision, outcome.admission
    values: dict[str, Any] = {
        "status": decision.status.name,
        "detail": decision.detail,
        "failure": told.failure,
        "mode": "" if decision.mode is None else decision.mode,
        "choice": "" if decision.choice is None else decision.choice.value,
        "violations of the best proposal": " ".join(each.value for each in decision.violations),
        "proposals that cannot be driven": decision.num_infeasible,
        "plan age (s)": f"{decision.plan_age_s:.3f}",
        "cycle (s)": f"{outcome.took_s:.4f}",
        "planner (s)": "" if outcome.answer is None else f"{outcome.answer.took_s:.4f}",
        "spread of sensors (s)": f"{admission.spread_s:.3f}",
    }
    for (name, labels), count in sorted(told.counters.counts.items()):
        values[name + "".join(f" {key}={value}" for key, value in labels)] = count
    level = ERROR if told.failure else _level(decision)
    planner = _status(make, "planner", level, decision.status.value, values, vehicle)
    return make(
        "diagnostic_msgs/msg/DiagnosticArray",
        header=header_message(make, outcome.cycle.now_us, ""),
        status=[planner, *(_input(make, report, vehicle) for report in admission.reports)],
    )


def _level(decision: Decision) -> int:
    """A proposal that was bent so little that it was chosen is nothing to worry about."""
    is_hardly_bent = decision.status is DecisionStatus.REPAIRED and decision.choice is not None
    return OK if is_hardly_bent else LEVELS[decision.status]


def _input(make: MakesMessages, report: InputReport, vehicle: str) -> Any:
    level = OK if report.condition in (InputCondition.FRESH, InputCondition.HELD) else WARN
    values = {
        "condition": report.condition.name,
        "age (s)": "" if report.age_s is None else f"{report.age_s:.3f}",
        "detail": report.detail,
    }
    return _status(make, report.name, level if report.is_usable else ERROR, report.condition.value, values, vehicle)


def _status(make: MakesMessages, name: str, level: int, message: str, values: Mapping[str, Any], vehicle: str) -> Any:
    return make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=level,
        name=f"{_NAME}: {name}",
        message=message,
        hardware_id=vehicle,
        values=[make("diagnostic_msgs/msg/KeyValue", key=key, value=str(value)) for key, value in values.items()],
    )
