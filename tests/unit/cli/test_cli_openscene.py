"""NAVSIM data on the command line: what the verbs that take scenes make of ``--source openscene``."""

import json
from pathlib import Path

import pytest

pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

from navsim_data import FRAMES, change_log, copy_without_sensors, token

from diffdrive.cli.main import main

CONSTANT_VELOCITY = ["evaluate", "--planners", "constant_velocity", "--json"]


def test_scenes_are_listed(navsim_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes", "--source", "openscene", "--data", str(navsim_root), "--split", "mini", "--tokens", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == [token(index) for index in range(3, FRAMES - 8)]
    assert found["modalities"] == ["cameras", "lidar", "agents", "map", "traffic_lights", "route", "future"]
    (log,) = found["logs"]
    assert (log["log"], log["dataset"], log["split"], log["location"]) == ("drive", "navsim", "mini", "us-ma-boston")


def test_scenes_are_scored_with_the_future_that_a_metric_needs(
    navsim_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--source", "openscene", "--data", str(navsim_root), "--cache", str(tmp_path / "index")]
    words = [*given, "--metric", "pdms,epdms", "--executor", "serial", "--scenes", "2"]
    assert main([*CONSTANT_VELOCITY, *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "navsim-mini"
    assert not found["failures"]
    assert (tmp_path / "index" / "mini" / "drive.json").is_file(), "the next start need not read the logs"
    # 3 frames of past and 10 of future leave three presents of sixteen.
    assert main([*CONSTANT_VELOCITY, *given, "--metric", "pdms", "--executor", "serial", "--scenes", "4"]) == 2
    assert "--scenes must be between 1 and 3" in capsys.readouterr().err


def test_a_scene_filter_chooses(navsim_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "navtest.yaml"
    path.write_text(f"num_history_frames: 4\nnum_future_frames: 6\nframe_interval: 1\ntokens: ['{token(4)}', '{token(6)}']\n")
    words = ["--source", "openscene", "--data", str(navsim_root), "--scene-filter", str(path)]
    assert main([*CONSTANT_VELOCITY, *words]) == 0
    assert {row["num_scenes"] for row in json.loads(capsys.readouterr().out)["results"]} == {2}


def test_gaps_are_crossed_when_asked(navsim_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy_without_sensors(navsim_root, tmp_path / "root")
    change_log(root, lambda frames: frames[:8] + frames[9:])
    words = [*CONSTANT_VELOCITY, "--source", "openscene", "--data", str(root)]
    assert main(words) == 2
    capsys.readouterr()
    assert main([*words, "--across-gaps"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "openscene"], "--source openscene needs --data DIR"),
        (["--source", "openscene", "--data", "ROOT", "--split", "navtest"], "has no split 'navtest'. It has: mini"),
        (["--source", "openscene", "--data", "ROOT", "--maps", "absent"], "does not exist: 'absent'"),
        (["--source", "openscene", "--data", "ROOT", "--scene-filter", "absent.yaml"], "'absent.yaml' cannot be read"),
        (["--source", "openscene", "--data", "ROOT", "--speed", "3"], "--speed belongs to --source nuscenes"),
        (
            ["--source", "logs", "--data", "ROOT", "--split", "mini"],
            "--split: only --source openscene has such options, got --source logs",
        ),
        (["--across-gaps", "--maps", "m"], "--maps and --across-gaps: only --source openscene has"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    navsim_root: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([*CONSTANT_VELOCITY, *(word.replace("ROOT", str(navsim_root)) for word in words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_scenes_of_several_splits_are_not_listed_at_once(navsim_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenes", "--source", "openscene", "--data", str(navsim_root), "--splits", "mini", "test"]) == 2
    assert "reads one split" in capsys.readouterr().err
