"""``diffdrive evaluate --metric`` as a user types it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from diffdrive.assets import CHECKPOINTS, LOGS
from diffdrive.cli.main import main
from diffdrive.cli.progress import ProgressReporter, describe_progress
from diffdrive.evaluation.scoring import Progress, read_scene_scores

pytest.importorskip("py123d")
HAS_ASSETS = (LOGS / "logs").is_dir() and (CHECKPOINTS / "nano").is_dir()
needs_assets = pytest.mark.skipif(not HAS_ASSETS, reason="the package was built without its logs or its checkpoint")


@needs_assets
def test_scores_of_several_planners_in_one_line_of_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "--planner", "human,constant-velocity", "pdm-closed", "ego-mlp", "--metric", "pdms,epdms"]
    words += ["--scenes", "2", "--executor", "serial", "--out", str(out), "--draw-worst", "1", "--json"]
    assert main(words) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    names = ["human", "constant_velocity", "pdm_closed", "ego_status_mlp"]
    assert [(score["metric"], score["planner"]) for score in found["scores"]] == [
        (metric, name) for metric in ("pdms", "epdms") for name in names
    ]
    assert found["failures"] == [] and len(found["differences"]) == 12
    assert len(read_scene_scores(out / "per_scene.parquet")) == 16
    assert json.loads((out / "summary.json").read_text())["scores"] == found["scores"]
    assert [Path(path).parent for path in found["pictures"]] == [out / "worst"] * 2


@needs_assets
def test_checkpoint_folders_are_planners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    shutil.copytree(CHECKPOINTS / "nano", tmp_path / "mine")
    words = ["evaluate", "--planners", str(tmp_path / "mine"), "network", "--metric", "pdms", "--scenes", "1"]
    assert main([*words, "--executor", "serial", "--json"]) == 0
    mine, nano = json.loads(capsys.readouterr().out)["scores"]
    assert (mine["planner"], nano["planner"]) == ("mine", "nano")
    assert mine["total"] == nano["total"], "the same weights plan the same"


@needs_assets
def test_checkpoint_folders_are_planners_of_displacements_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--planner", str(CHECKPOINTS / "nano"), "constant-velocity", "--scenes", "1", "--json"]
    assert main(words) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [result["candidate"] for result in results] == ["nano", "constant velocity"]


@needs_assets
def test_the_table_names_what_failed_and_the_status_is_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffdrive.baselines import ConstantVelocity

    def broken(self: object, observation: object) -> None:
        raise ValueError("no idea")

    monkeypatch.setattr(ConstantVelocity, "plan", broken)
    words = ["evaluate", "--planner", "human", "constant-velocity", "--metric", "pdms", "--scenes", "2", "--executor", "serial"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert "2 results are missing" in captured.out and "ValueError: no idea" in captured.out
    assert "2 of 2 scenes, 2 failed" in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--planner", "tesla"], "no planner 'tesla'"),
        (["--planner", "human"], "--metric"),
        (["--workers", "2"], "--workers belongs to scores"),
        (["--metric", "pdm"], "no metric 'pdm'"),
        (["--metric", "pdms", "--draw-worst", "2"], "--out"),
        (["--metric", "pdms", "--out", "report.html"], "folder"),
        (["--metric", "pdms", "--executor", "serial", "--workers", "3"], "one worker"),
        (["--metric", "pdms", "--ray-address", "auto"], "--executor ray"),
        (["--metric", "pdms", "--workers", "0"], "at least one worker"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert message in line and captured.out == ""
    assert list(tmp_path.iterdir()) == []


def progress(done: int, **changes: object) -> Progress:
    values: dict = {"num_scenes": 10, "num_done": done, "num_kept": 0, "num_failed": 0}
    return Progress(**(values | changes))


def test_progress_in_words() -> None:
    text = describe_progress(progress(6, num_kept=2, num_failed=1), 8.0)
    assert text == "6 of 10 scenes, 2 from an earlier run, 1 failed, 8 s, about 8 s left"
    assert describe_progress(progress(10), 8.0) == "10 of 10 scenes, 8 s"


def test_lines_come_every_five_seconds_and_at_the_end() -> None:
    stream, now = io.StringIO(), iter([0.0, 1.0, 6.0, 7.0, 8.0])
    reporter = ProgressReporter(clock=lambda: next(now), stream=stream)
    for done in (0, 2, 4, 6, 10):
        reporter(progress(done, lost="the worker was killed by SIGKILL" if done == 6 else ""))
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0].split(";")[0].strip() for line in lines] == [
        "4 of 10 scenes",
        "the worker was killed by SIGKILL",
        "10 of 10 scenes",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    reporter = ProgressReporter(clock=lambda: 0.0, stream=stream)
    for done in (0, 5, 10):
        reporter(progress(done))
    frames = stream.getvalue().split("\r")
    assert [frame.count("#") for frame in frames[1:]] == [0, 14, 28]
    assert stream.getvalue().endswith("\n") and stream.getvalue().count("\n") == 1


def test_noise_belongs_to_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--noise", "zero"]) == 2
    assert "--noise belongs to scores" in capsys.readouterr().err
