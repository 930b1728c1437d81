"""Means, paired differences and tables of scored scenes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from diffdrive.evaluation.scoring import SceneScore, ScoredScenes, SubScore, summarise_scores
from diffdrive.evaluation.scoring.tables import failure_text, tables
from diffdrive.scoring.rules import EPDMS

NAMES = ("ours", "theirs")


def row(planner: str, token: str, total: float, *, log: str = "a", comfort: float = 1.0, error: str = "") -> SceneScore:
    subs = {name: SubScore(value=total) for name in EPDMS.sub_scores}
    subs["extended_comfort"] = SubScore(value=comfort)
    return SceneScore(
        planner=planner,
        metric="epdms",
        token=token,
        log_name=log,
        timestamp_us=0,
        total=math.nan if error else total,
        sub_scores={} if error else subs,
        ade_m=1.0,
        error=error,
    )


def summaries(rows: list[SceneScore]) -> ScoredScenes:
    return ScoredScenes(source="s", rows=tuple(rows), summaries=summarise_scores(rows, planners=NAMES, metrics=("epdms",)))


ROWS = [
    row("ours", "1", 0.5, log="a", comfort=math.nan),
    row("theirs", "1", 0.25, log="a", comfort=math.nan),
    row("ours", "2", 1.0, log="b"),
    row("theirs", "2", 0.5, log="b"),
    row("ours", "3", 0.5, log="b"),
    row("theirs", "3", 0.0, log="b", error="no plan"),
]


def test_means_leave_out_what_does_not_exist_and_say_so() -> None:
    ours, theirs = summaries(ROWS).summaries.scores
    assert (ours.num_scenes, ours.num_failed, theirs.num_scenes, theirs.num_failed) == (3, 0, 2, 1)
    assert ours.total == pytest.approx(2 / 3) and theirs.total == 0.375
    assert (ours.num_with_extended_comfort, ours.sub_scores["extended_comfort"]) == (2, 1.0)


def test_differences_are_paired_over_scenes_that_both_have() -> None:
    (difference,) = summaries(ROWS).summaries.differences
    assert (difference.planner, difference.baseline) == NAMES
    assert (difference.num_scenes, difference.num_logs) == (2, 2)
    assert difference.mean == pytest.approx(0.375)
    assert difference.interval is not None
    assert difference.interval.low == pytest.approx(0.25) and difference.interval.high == pytest.approx(0.5)


def test_one_log_has_no_interval() -> None:
    one = summaries([row(name, token, 0.5) for token in "12" for name in NAMES])
    assert one.summaries.scores[0].interval is None and one.summaries.differences[0].interval is None
    assert "one log" in tables(one)


def test_the_seed_decides_the_interval() -> None:
    rng = np.random.default_rng(0)
    rows = [row("ours", f"{log}{i}", float(rng.random()), log=log) for log in "abcdefghijkl" for i in range(3)]

    def drawn(seed: int) -> object:
        return summarise_scores(rows, planners=NAMES, metrics=("epdms",), seed=seed).scores[0].interval

    assert drawn(1) == drawn(1) != drawn(2)


def test_the_table_is_in_percent_and_names_failures() -> None:
    text = tables(summaries(ROWS))
    header, _, ours, theirs = text.splitlines()[1:5]
    assert header.split()[:6] == ["planner", "scenes", "failed", "EPDMS", "NC", "DAC"]
    assert ours.split()[:4] == ["ours", "3", "0", "66.7"] and theirs.split()[:4] == ["theirs", "2", "1", "37.5"]
    assert "1 result is missing" in text and "theirs, epdms, 3: no plan" in text


def test_alike_failures_are_counted_not_listed_one_by_one() -> None:
    text = failure_text([row("ours", str(i), 0.0, error="no map") for i in range(50)])
    assert "ours, epdms, 0 and 49 more: no map" in text and len(text.splitlines()) == 2


def test_the_summary_is_json_without_nan() -> None:
    lonely = summaries([row("ours", "1", 0.0, error="x"), row("theirs", "1", 0.5, comfort=math.nan)])
    text = json.dumps(lonely.summaries.as_json(), allow_nan=False)
    found = json.loads(text)
    assert found["scores"][0]["total"] is None and found["scores"][1]["sub_scores"]["extended_comfort"] is None
    assert found["differences"] == [] and found["bootstrap"]["seed"] == 0
