"""What the readable scorer of the tests says about golden scenes, in the shape of the official results."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from golden_scoring import Answers, GoldenCase, GoldenScene, Results

from diffdrive.scoring.rules import Protocol, Rules

INTERVAL_S = 0.5
"""Between a golden scene and its preceding one."""


def reader_answers(goldens: Sequence[GoldenScene], rules: Rules) -> Iterator[Answers]:
    """From the readable scorer of the tests."""
    oracle, comfort, vehicle = (_module(name) for name in ("oracle_score", "oracle_comfort", "oracle_vehicle"))
    version = 1 if rules.protocol is Protocol.V1 else 2
    known: dict[str, dict[str, np.ndarray]] = {}
    for golden in goldens:
        references = np.array([_reader_reference(vehicle, golden, case) for case in golden.cases])
        judged, planner, human = oracle.judge_references(golden.scene, references)
        known[golden.scene.token] = {case.name: each.states for case, each in zip(golden.cases, judged, strict=True)}
        preceding = known.get(golden.previous_token or "", {})
        extended = [
            {"extended_comfort": comfort.extended_comfort(each.states, preceding[case.name], INTERVAL_S)}
            if case.name in preceding
            else {}
            for case, each in zip(golden.cases, judged, strict=True)
        ]
        forgiven = [oracle.forgive(each, human) for each in judged] if human else []
        plain = _reader_results(oracle, version, judged, extended)
        plain["total_without_ec"] = np.array([oracle.total(version, each.sub_scores) for each in judged])
        yield Answers(
            states=np.array([each.states for each in judged]),
            unfiltered=plain,
            filtered=_reader_results(oracle, version, forgiven, extended) if human else None,
            planner=_columns([oracle.with_progress(version, planner, each).sub_scores for each in judged]),
            planner_states=planner.states,
            human=None if human is None else _columns([human.sub_scores] * len(judged)),
            human_states=None if human is None else human.states,
        )


def _module(name: str) -> Any:
    """A module of the tests, which are no package."""
    folder = str(Path(__file__).resolve().parents[1] / "tests" / "oracle")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def _reader_reference(vehicle: Any, golden: GoldenScene, case: GoldenCase) -> np.ndarray:
    if not golden.has_timestamp:
        return case.reference
    found: np.ndarray = vehicle.interpolate(golden.scene.ego_state[:3], golden.scene.timestamp_us, case.poses)
    return found


def _reader_results(oracle: Any, version: int, judged: Sequence[Any], extended: Sequence[dict[str, float]]) -> Results:
    rows = [{**each.sub_scores, **more} for each, more in zip(judged, extended, strict=True)]
    return {**_columns(rows), "total": np.array([oracle.total(version, row) for row in rows])}


def _columns(rows: Sequence[dict[str, float]]) -> Results:
    return {name: np.array([row.get(name, np.nan) for row in rows]) for row in rows for name in row}
