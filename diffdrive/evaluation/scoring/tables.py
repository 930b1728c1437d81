"""Scores as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diffdrive.evaluation.scoring.rows import SceneScore
from diffdrive.evaluation.scoring.score_planners import ScoredScenes
from diffdrive.evaluation.scoring.summary import Difference, ScoreSummary
from diffdrive.evaluation.table import Table
from diffdrive.scoring.rules import rules_of

SHORT = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "driving_direction_compliance": "DDC",
    "traffic_light_compliance": "TLC",
    "ego_progress": "EP",
    "time_to_collision": "TTC",
    "comfort": "C",
    "lane_keeping": "LK",
    "history_comfort": "HC",
    "extended_comfort": "EC",
}
"""The papers' abbreviations."""

_SHOWN_FAILURES = 20


def tables(scored: ScoredScenes) -> str:
    """For each metric: the means, then each planner against the first one; at the end what failed. Scores in percent."""
    parts = []
    for metric in dict.fromkeys(summary.metric for summary in scored.summaries.scores):
        own = [summary for summary in scored.summaries.scores if summary.metric == metric]
        note = _comfort_note(own[0])
        parts.append(f"{metric}, percent, mean over scenes\n{score_table(own).text()}" + (f"\n{note}" if note else ""))
        first = own[0].planner
        against = [each for each in scored.summaries.differences if each.metric == metric and each.planner == first]
        if against:
            parts.append(f"{metric}, {first} minus another planner, points\n{difference_table(against).text()}")
    if scored.failures:
        parts.append(failure_text(scored.failures))
    return "\n\n".join(parts)


def score_table(summaries: Sequence[ScoreSummary]) -> Table:
    """One row a planner; all of one metric."""
    rules = rules_of(summaries[0].metric)
    return Table(
        columns=("planner", "scenes", "failed", rules.name.upper(), *(SHORT[name] for name in rules.sub_scores), "ADE, m"),
        rows=tuple(
            (
                each.planner,
                str(each.num_scenes),
                str(each.num_failed),
                _percent(each.total),
                *(_percent(each.sub_scores[name]) for name in rules.sub_scores),
                "-" if math.isnan(each.ade_m) else f"{each.ade_m:.2f}",
            )
            for each in summaries
        ),
    )


def difference_table(differences: Sequence[Difference]) -> Table:
    """One row a pair, with the interval of the mean over logs."""
    return Table(
        columns=("against", "scenes", "logs", "difference", "95 % interval"),
        rows=tuple(
            (
                each.baseline,
                str(each.num_scenes),
                str(each.num_logs),
                f"{100 * each.mean:+.1f}",
                "one log" if each.interval is None else f"{100 * each.interval.low:+.1f} to {100 * each.interval.high:+.1f}",
            )
            for each in differences
        ),
    )


def failure_text(failures: Sequence[SceneScore]) -> str:
    """What could not be scored and why: scenes that fail alike are counted, the first of them named."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for row in failures:
        alike.setdefault((row.planner, row.metric, row.error), []).append(row.token)
    lines = ["1 result is missing:" if len(failures) == 1 else f"{len(failures)} results are missing:"]
    for (planner, metric, error), tokens in list(alike.items())[:_SHOWN_FAILURES]:
        more = f" and {len(tokens) - 1} more" if len(tokens) > 1 else ""
        lines.append(f"  {planner}, {metric}, {tokens[0]}{more}: {error}")
    if len(alike) > _SHOWN_FAILURES:
        lines.append(f"  and {len(alike) - _SHOWN_FAILURES} other kinds; the table of scenes has them all")
    return "\n".join(lines)


def _comfort_note(summary: ScoreSummary) -> str:
    known = summary.num_with_extended_comfort
    if known is None or known == summary.num_scenes:
        return ""
    return f"EC needs a scene 0.5 s before: {known} of {summary.num_scenes} scenes have one, the others are scored without it."


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
