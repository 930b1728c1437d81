"""``diffdrive scenes`` lists a data root, in words or as one line of JSON, and refuses what is none."""

import json
from pathlib import Path

import pytest

pytest.importorskip("py123d")

from diffdrive.cli.main import main


def test_json_is_one_line_with_count_and_modalities(small_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes", "--logs", str(small_root), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["count"] == 6
    assert found["modalities"] == ["cameras", "lidar", "agents", "map", "traffic_lights", "route", "future"]
    (log,) = found["logs"]
    assert (log["log"], log["dataset"], log["split"], log["location"]) == ("bend", "drivetown", "drivetown_val", "hand")
    assert (log["count"], log["duration_s"]) == (6, 8.0)
    assert "tokens" not in found


def test_text_has_one_row_a_log_and_a_sum(small_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes", "--logs", str(small_root), "--stride", "1.0", "--tokens"]) == 0
    head, row, total, *tokens = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "data"
    assert row.split()[:6] == ["drivetown", "drivetown_val", "bend", "hand", "8.0", "3"]
    assert total.startswith("3 scenes in 1 logs; every scene has: cameras, lidar")
    assert tokens == ["bend-8500000", "bend-9500000", "bend-10500000"]


def test_what_cannot_be_listed_is_one_line_and_status_2(
    small_root: Path, av2_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        (["--logs", str(tmp_path)], "is not a 123D data root"),
        (["--logs", str(small_root), "--splits", "nix"], "has no split called nix"),
        (["--logs", str(av2_root), "--require", "map", "cameras"], "lacks cameras in 2 of 2 logs"),
    ):
        assert main(["scenes", *words]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1
        assert message in captured.err
