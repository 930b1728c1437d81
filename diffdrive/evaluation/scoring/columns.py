"""Rows of results as a Parquet table: one column for each fact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from diffdrive.evaluation.scoring.rows import SceneScore, SubScore
from diffdrive.scoring.rules import METRICS

FACTS = {
    "planner": "string",
    "metric": "string",
    "token": "string",
    "log_name": "string",
    "timestamp_us": "int64",
    "command": "string",
    "speed_mps": "float64",
    "ade_m": "float64",
    "fde_m": "float64",
    "total": "float64",
    "error": "string",
}
"""Columns of every table, with Arrow's names of their types."""

REASONS = {"": "float64", "_step": "int16", "_agent": "string", "_corner": "string", "_forgiven": "bool"}
"""Columns of each sub-score: its name with these endings."""

SUB_SCORES = tuple(dict.fromkeys(name for rules in METRICS.values() for name in rules.sub_scores))
"""Of all metrics: a table has the same columns whatever was asked for. Those that a metric lacks are null."""


def to_columns(rows: Sequence[SceneScore]) -> dict[str, list[Any]]:
    """The rows column by column; None is null."""
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in FACTS}
    columns["total"] = [_null_if_nan(row.total) for row in rows]
    for name in SUB_SCORES:
        found = [row.sub_scores.get(name) for row in rows]
        columns[name] = [_null_if_nan(sub.value) if sub else None for sub in found]
        columns[f"{name}_step"] = [sub.step if sub else None for sub in found]
        columns[f"{name}_agent"] = [sub.agent if sub else None for sub in found]
        columns[f"{name}_corner"] = [sub.corner if sub else None for sub in found]
        columns[f"{name}_forgiven"] = [sub.is_forgiven if sub else None for sub in found]
    return columns


def from_columns(records: Sequence[Mapping[str, Any]]) -> tuple[SceneScore, ...]:
    """Undo ``to_columns``, from one mapping a row."""
    return tuple(_row(record) for record in records)


def column_types() -> dict[str, str]:
    """Every column and Arrow's name of its type, in order."""
    return FACTS | {f"{name}{ending}": kind for name in SUB_SCORES for ending, kind in REASONS.items()}


def _row(record: Mapping[str, Any]) -> SceneScore:
    # The forgiven flag is null exactly where a metric has no such sub-score; a value may be NaN.
    subs = {
        name: SubScore(
            value=math.nan if record[name] is None else record[name],
            step=record[f"{name}_step"],
            agent=record[f"{name}_agent"],
            corner=record[f"{name}_corner"],
            is_forgiven=record[f"{name}_forgiven"],
        )
        for name in _in_order(record["metric"])
        if record[f"{name}_forgiven"] is not None
    }
    facts = {name: record[name] for name in FACTS}
    return SceneScore(**(facts | {"total": math.nan if facts["total"] is None else facts["total"], "sub_scores": subs}))


def _in_order(metric: str) -> tuple[str, ...]:
    return METRICS[metric].sub_scores if metric in METRICS else SUB_SCORES


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
