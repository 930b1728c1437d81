r"""Compare the devkit's scores of an export with our own scores of the logs that it was made of.

    diffdrive world export-navsim DATA --out EXPORT --split mini
    (NAVSIM, on EXPORT: run_metric_caching.py, then run_pdm_score.py for v1.1 or run_pdm_score_one_stage.py for v2.2)
    diffdrive evaluate --source logs --logs DATA --planners human constant_velocity --metric pdms,epdms --out SCORES
    python tools/check_navsim_export.py EXPORT SCORES/per_scene.parquet --metric pdms \
        --official human=HUMAN.csv constant_velocity=CV.csv

Prints, for each planner and sub-score, in how many scenes the two differ and by how much at most. Exit status 1 where the
devkit scored a scene that we did not, or failed in one.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring import read_scene_scores
from diffdrive.openscene.export import RECORD_FILE

TOTAL = "total"
OFFICIAL_NAMES = {
    "time_to_collision": "time_to_collision_within_bound",
    "extended_comfort": "two_frame_extended_comfort",
    TOTAL: "score",
}
"""The devkit's columns, where their names are not ours."""

SAME = 1e-6
Values = dict[str, dict[str, float]]
"""Sub-scores by name, by the token of the logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One sub-score of one planner."""

    planner: str
    name: str
    scenes: int
    differing: int
    largest: float
    worst: str
    """Token of the scene with the largest difference."""


def source_tokens(export: Path) -> dict[str, str]:
    """Our token for each exported one."""
    logs = json.loads((export / RECORD_FILE).read_text())["logs"]
    return {token: ours for log in logs.values() for token, ours in log["frames"].items()}


def official_scores(path: Path, names: Sequence[str], tokens: Mapping[str, str]) -> Values:
    """Rows of the devkit's table, by our tokens. Raises ``InputError`` for scenes that it could not score."""
    with path.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["token"] in tokens]
    if failed := [row["token"] for row in rows if row["valid"] != "True"]:
        raise InputError(f"The devkit failed in {len(failed)} scenes of '{path}', for example {failed[0]}.")
    found = {tokens[row["token"]]: {name: _number(row[OFFICIAL_NAMES.get(name, name)]) for name in names} for row in rows}
    if not found:
        raise InputError(f"'{path}' has no scene of this export.")
    return found


def own_scores(table: Path, planner: str, metric: str) -> Values:
    """Rows of ``diffdrive evaluate --metric``."""
    rows = [row for row in read_scene_scores(table) if (row.planner, row.metric) == (planner, metric)]
    return {row.token: {**{name: sub.value for name, sub in row.sub_scores.items()}, TOTAL: row.total} for row in rows}


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
            )
        )
    return result


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _gap(first: float, second: float) -> float:
    if math.isnan(first) or math.isnan(second):
        return 0.0 if math.isnan(first) == math.isnan(second) else math.inf
    return abs(first - second)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("export", type=Path, help="folder that export-navsim made")
    parser.add_argument("scores", type=Path, help="per_scene.parquet of evaluate --metric")
    parser.add_argument("--metric", choices=("pdms", "epdms"), required=True)
    parser.add_argument("--official", nargs="+", required=True, metavar="PLANNER=CSV", help="the devkit's results")
    args = parser.parse_args(arguments)
    rows: list[Difference] = []
    try:
        tokens = source_tokens(args.export)
        for word in args.official:
            planner, _, path = word.partition("=")
            own = own_scores(args.scores, planner, args.metric)
            if not own:
                raise InputError(f"'{args.scores}' has no {args.metric} of a planner called '{planner}'.")
            rows += differences(planner, official_scores(Path(path), list(next(iter(own.values()))), tokens), own)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    for row in rows:
        told = f"{row.differing:4d} of {row.scenes:4d} differ, at most {row.largest:.2e}"
        print(f"{row.planner:18s} {row.name:28s} {told} {row.worst}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
