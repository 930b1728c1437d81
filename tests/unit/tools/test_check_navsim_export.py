"""Two tables of scores, held against each other."""

import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import check_navsim_export as tool

from diffdrive.contracts import InputError


def test_differences_name_the_worst_scene_and_let_missing_values_agree() -> None:
    official = {"s": {"ego_progress": 0.9, "extended_comfort": math.nan}, "t": {"ego_progress": 0.5, "extended_comfort": 1.0}}
    own = {"s": {"ego_progress": 0.9, "extended_comfort": math.nan}, "t": {"ego_progress": 0.7, "extended_comfort": math.nan}}
    progress, comfort = tool.differences("human", official, own)
    assert (progress.differing, progress.scenes, progress.worst) == (1, 2, "t")
    assert progress.largest == pytest.approx(0.2)
    assert (comfort.differing, comfort.largest) == (1, math.inf)


def test_scenes_that_we_did_not_score_are_an_error() -> None:
    with pytest.raises(InputError, match="1 scenes that the devkit scored"):
        tool.differences("human", {"s": {"total": 1.0}}, {})


def test_official_rows_are_found_by_our_tokens(tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text(json.dumps({"logs": {"drive": {"frames": {"abc": "drive-1", "def": "drive-2"}}}}))
    tokens = tool.source_tokens(tmp_path)
    table = tmp_path / "scores.csv"
    table.write_text(",token,valid,comfort,time_to_collision_within_bound,score\n0,abc,True,1.0,,0.5\n1,average,True,1,1,1\n")
    found = tool.official_scores(table, ["comfort", "time_to_collision", "total"], tokens)
    assert found["drive-1"]["comfort"] == 1.0 and found["drive-1"]["total"] == 0.5
    assert math.isnan(found["drive-1"]["time_to_collision"])
    table.write_text(",token,valid,comfort,score\n0,abc,False,,\n")
    with pytest.raises(InputError, match="failed in 1 scenes"):
        tool.official_scores(table, ["comfort", "total"], tokens)
