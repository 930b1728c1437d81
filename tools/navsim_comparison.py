"""The devkit's table of scores against ours, scene by scene and sub-score by sub-score."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring import read_scene_scores

TOTAL = "total"
OFFICIAL_NAMES = {
    "time_to_collision": "time_to_collision_within_bound",
    "extended_comfort": "two_frame_extended_comfort",
    TOTAL: "score",
}
"""The devkit's columns, where their names are not ours."""

TOKEN = re.compile("[0-9a-f]{16,17}")
SAME = 1e-6
Values = dict[str, dict[str, float]]
"""Sub-scores by name, by token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One sub-score of one planner."""

    planner: str
    name: str
    scenes: int
    differing: int
    """Scenes where the two are more than ``SAME`` apart."""

    largest: float
    worst: str
    """Token of the scene with the largest difference; empty where none differs."""

    official_mean: float
    own_mean: float
    """Over the scenes where the sub-score has a value."""


def official_scores(path: Path, names: Sequence[str]) -> Values:
    """Rows of the devkit's table, without those of means. Raises ``InputError`` for scenes that it could not score."""
    with path.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if is_scene(row["token"])]
    if failed := [row["token"] for row in rows if row["valid"] != "True"]:
        raise InputError(f"The devkit failed in {len(failed)} scenes of '{path}', for example {failed[0]}.")
    if not rows:
        raise InputError(f"'{path}' has no scene.")
    return {row["token"]: {name: _number(row[OFFICIAL_NAMES.get(name, name)]) for name in names} for row in rows}


def is_scene(token: str) -> bool:
    """Whether a row is a scene's: others are named after the mean that they hold."""
    return TOKEN.fullmatch(token) is not None


def own_scores(table: Path, planner: str, metric: str) -> Values:
    """Rows of ``diffdrive evaluate --metric``. Raises ``InputError`` where there are none, or one could not be scored."""
    rows = [row for row in read_scene_scores(table) if (row.planner, row.metric) == (planner, metric)]
    if not rows:
        raise InputError(f"'{table}' has no {metric} of a planner called '{planner}'.")
    if failed := [row for row in rows if not row.is_scored]:
        raise InputError(f"{len(failed)} scenes of '{table}' have no {metric} for {planner}: {failed[0].error}")
    return {row.token: {**{name: sub.value for name, sub in row.sub_scores.items()}, TOTAL: row.total} for row in rows}


def compared(planner: str, official: Path, own: Values) -> list[Difference]:
    """The devkit's table in ``official`` against our scores of the same planner."""
    return differences(planner, official_scores(official, list(next(iter(own.values())))), own)


def differences(planner: str, official: Values, own: Values) -> list[Difference]:
    """One for each sub-score. Two values that are both missing agree. Raises ``InputError`` where our scores lack a scene."""
    if lacking := sorted(set(official) - set(own)):
        raise InputError(f"{len(lacking)} scenes that the devkit scored are not among our scores, for example {lacking[0]}.")
    result = []
    for name in next(iter(own.values())):
        gaps = {token: _gap(values[name], own[token][name]) for token, values in official.items()}
        worst = max(gaps, key=lambda token: gaps[token])
        differing = sum(gap > SAME for gap in gaps.values())
        result.append(
            Difference(
                planner=planner,
                name=name,
                scenes=len(gaps),
                differing=differing,
                largest=gaps[worst],
                worst=worst if differing else "",
                official_mean=_mean([values[name] for values in official.values()]),
                own_mean=_mean([own[token][name] for token in official]),
            )
        )
    return result


def table(rows: Sequence[Difference]) -> str:
    """As Markdown."""
    lines = ["| planner | sub-score | devkit | ours | scenes | differ | largest |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        means = f"{row.official_mean:.4f} | {row.own_mean:.4f}"
        where = f" ({row.worst})" if row.worst else ""
        lines.append(f"| {row.planner} | {row.name} | {means} | {row.scenes} | {row.differing} | {row.largest:.1e}{where} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _gap(first: float, second: float) -> float:
    if math.isnan(first) or math.isnan(second):
        return 0.0 if math.isnan(first) == math.isnan(second) else math.inf
    return abs(first - second)
