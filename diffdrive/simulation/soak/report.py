"""A soak as text, as a Markdown table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffdrive.simulation.soak.faults import FAULTS, Fault
from diffdrive.simulation.soak.ledger import FaultTally
from diffdrive.simulation.soak.run import Memory, SoakRun

MOST_GROWTH = 0.05
"""Share by which memory may grow."""

_LEAST_SAMPLES = 10
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Resident memory after the warm-up and at the end, medians of several samples."""

    early_bytes: float
    late_bytes: float

    @property
    def share(self) -> float:
        """0.01 is one per cent more."""
        return self.late_bytes / self.early_bytes - 1.0


def parent_growth(memory: Memory) -> Growth | None:
    """From the second tenth of the run to the last; None where it was too short, or there is no /proc."""
    return _growth([held for _, held in memory.parent])


def child_growth(memory: Memory) -> Growth | None:
    """Of the planner's process that grew most among those that lived long enough."""
    lives: dict[int, list[int]] = {}
    for number, held in memory.child:
        lives.setdefault(number, []).append(held)
    found = [growth for held in lives.values() if (growth := _growth(held)) is not None]
    return max(found, key=lambda growth: growth.share, default=None)


def _growth(samples: Sequence[int]) -> Growth | None:
    if len(samples) < _LEAST_SAMPLES:
        return None
    tenth = max(3, len(samples) // 10)
    return Growth(early_bytes=statistics.median(samples[tenth : 2 * tenth]), late_bytes=statistics.median(samples[-tenth:]))


def failures(run: SoakRun) -> tuple[str, ...]:
    """What must not be, a sentence each; none where the soak passed."""
    ledger = run.ledger
    found = [f"{ledger.num_breaches} breaches of safety."] if ledger.num_breaches else []
    for name, growth in (("envelope's", parent_growth(run.memory)), ("planner's", child_growth(run.memory))):
        if growth is not None and growth.share > MOST_GROWTH:
            found.append(f"The memory of the {name} process grew by {100 * growth.share:.1f} %.")
    if ledger.num_answered == 0:
        found.append("The planner never planned: nothing was tested.")
    return tuple(found)


def as_json(run: SoakRun, about: dict[str, Any]) -> dict[str, Any]:
    """Everything."""
    ledger = run.ledger
    return {
        **about,
        "passed": not failures(run),
        "failures": list(failures(run)),
        "frames": ledger.num_frames,
        "wall_s": run.wall_s,
        "asked": ledger.num_asked,
        "planned": ledger.num_answered,
        "late_without_fault": ledger.num_late,
        "starts_of_the_planners_process": run.num_starts,
        "worst_cycle_s": ledger.worst_cycle_s,
        "worst_carried_age_s": ledger.worst_carried_age_s,
        "memory": {
            name: None if growth is None else {"early_mb": growth.early_bytes / 1e6, "late_mb": growth.late_bytes / 1e6}
            for name, growth in (("envelope", parent_growth(run.memory)), ("planner", child_growth(run.memory)))
        },
        "faults": [
            {"part": fault.part.value, "kind": fault.kind.name, "alone": _values(alone), "in_pairs": _values(paired)}
            for fault, alone, paired in _rows(run)
        ],
        "pairs": _values(ledger.pairs),
        "no_fault": _values(ledger.quiet),
        "num_breaches": ledger.num_breaches,
        "breaches": [
            {"frame": each.frame, "status": each.status, "faults": list(each.faults), "sentence": each.sentence}
            for each in ledger.breaches
        ],
    }


def as_markdown(run: SoakRun) -> str:
    """A row for each kind of fault."""
    lines = [
        "| fault | alone | in pairs | frames | answers | oldest plan | back after | breaches |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fault, alone, paired in _rows(run):
        breaches = alone.num_breaches + paired.num_breaches
        lines.append(_row(str(fault), str(alone.events), str(paired.events), alone, breaches))
    ledger = run.ledger
    lines.append(_row("two of them at once", "", str(ledger.pairs.events), ledger.pairs, ledger.pairs.num_breaches))
    lines.append(_row("none", "", "", ledger.quiet, ledger.quiet.num_breaches))
    return "\n".join(lines) + "\n"


def as_text(run: SoakRun) -> str:
    """The summary, and the first breaches."""
    ledger = run.ledger
    num_faults = sum(tally.events for tally in (*ledger.alone.values(), *ledger.paired.values()))
    lines = [
        f"{num_faults} faults in {ledger.num_frames} frames ({ledger.num_frames / 600:.1f} min at 10 Hz), run in "
        f"{run.wall_s / 60:.1f} min",
        f"planner: asked {ledger.num_asked} times, planned {ledger.num_answered}, started {run.num_starts} times; "
        f"late without a fault {ledger.num_late} times",
        f"worst: decision after {ledger.worst_cycle_s:.2f} s, plan driven on for {ledger.worst_carried_age_s:.2f} s",
    ]
    for name, growth in (("envelope", parent_growth(run.memory)), ("planner", child_growth(run.memory))):
        if growth is not None:
            early, late = growth.early_bytes / 1e6, growth.late_bytes / 1e6
            lines.append(
                f"memory of the {name}'s process: {early:.0f} MB, at the end {late:.0f} MB ({100 * growth.share:+.1f} %)"
            )
    for each in ledger.breaches[:_SHOWN]:
        faults = ", ".join(each.faults) or "no fault"
        lines.append(f"frame {each.frame} ({each.status}, {faults}): {each.sentence}")
    if ledger.num_breaches > _SHOWN:
        lines.append(f"... and {ledger.num_breaches - _SHOWN} more breaches")
    lines.append("passed" if not failures(run) else f"FAILED: {' '.join(failures(run))}")
    return "\n".join(lines)


def _rows(run: SoakRun) -> list[tuple[Fault, FaultTally, FaultTally]]:
    ledger = run.ledger
    none = FaultTally()
    return [(fault, ledger.alone.get(fault, none), ledger.paired.get(fault, none)) for fault in FAULTS]


def _row(name: str, alone: str, paired: str, tally: FaultTally, breaches: int) -> str:
    answers = ", ".join(f"{status.lower().replace('_', ' ')} {count}" for status, count in tally.answers.most_common())
    cells = (name, alone, paired, tally.frames, answers, f"{tally.worst_age_s:.1f} s", f"{tally.worst_recovery} fr.", breaches)
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _values(tally: FaultTally) -> dict[str, Any]:
    return {
        "events": tally.events,
        "frames": tally.frames,
        "answers": dict(tally.answers),
        "worst_plan_age_s": tally.worst_age_s,
        "worst_recovery_frames": tally.worst_recovery,
        "breaches": tally.num_breaches,
    }
