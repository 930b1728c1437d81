"""``diffdrive bench`` from the command line, on the yardstick and the shipped small network, and with engines of no cost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

from latency_fakes import FailingEngine, FakeClock, TimedEngine, small_observations

from diffdrive.cli.main import main
from diffdrive.model import nano
from diffdrive.runtime import EngineOptions
from diffdrive.runtime.engines import ENGINES

QUICK = ["--frames", "5", "--warm-up", "5"]


@pytest.fixture()
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, EngineOptions]:
    """Engines ``fast`` and ``slow`` (three times as slow), on a clock of their own; and what they were made with."""
    clock, made = FakeClock(), {}

    def maker(name: str, seconds: float, kind: type[TimedEngine] = TimedEngine) -> Any:
        def make(model: object, options: EngineOptions) -> TimedEngine:
            made[name] = options
            return kind(clock, seconds, 0.0, name=name)

        return make

    monkeypatch.setitem(ENGINES, "fast", maker("fast", 0.010))
    monkeypatch.setitem(ENGINES, "slow", maker("slow", 0.030))
    monkeypatch.setitem(ENGINES, "failing", maker("failing", 0.010, FailingEngine))
    monkeypatch.setattr("time.perf_counter", clock)
    monkeypatch.setattr("diffdrive.cli.bench._model", lambda args: SimpleNamespace(config=nano()))
    monkeypatch.setattr("diffdrive.runtime.latency.synthetic_observations", lambda seed: small_observations())
    return made


def test_the_yardstick_end_to_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    assert main(["bench", "--engine", "plain", "--model", "nano", "--json", "--out", str(file), *QUICK]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert record == json.loads(file.read_text())
    assert set(record) == {
        "format", "kind", "frames", "warm_up_frames", "deadline_ms", "garbage_collection", "observations", "engine",
        "end_to_end", "network", "stages", "stages_note", "memory", "model", "seed", "environment",
    }  # fmt: skip
    assert (record["frames"], record["warm_up_frames"]) == (5, 5)
    assert record["observations"] == {"different": 7, "image_rows_columns": [1080, 1920], "lidar_points": 100_000}
    assert record["model"] == {"name": "nano", "weights": "shipped checkpoint"}
    assert record["engine"]["name"] == "plain:fp32" and record["engine"]["degraded"] is None
    stages = {stage: table["p50_ms"] for stage, table in record["stages"].items()}
    assert list(stages) == ["preprocess", "copy", "backbone", "decoder", "post"]
    assert stages["backbone"] > 1.0 and stages["decoder"] > 1.0 and stages["preprocess"] > 0.5
    assert record["end_to_end"]["p50_ms"] > 0.5 * sum(stages.values())
    assert list(tmp_path.iterdir()) == [file]


def test_text_for_a_reader(fakes: object, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    assert main(["bench", "--engine", "fast", "--deadline-ms", "9.5", "--out", str(file), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "5 after 5 of warm-up" in printed and "fast: made for a test" in printed and str(file) in printed
    assert "5 of 5 frames took longer than 9.5 ms" in printed
    (row,) = (line for line in printed.splitlines() if line.startswith("end to end"))
    assert row.split()[3:] == ["10.000"] * 5 + ["0.000"]


def test_compare_prints_the_ratio(fakes: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--compare", "slow", "fast:bf16", "--json", *QUICK]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert isinstance(record["ratio"], float)
    assert record["ratio"] == pytest.approx(3.0) and record["ratio_network"] == pytest.approx(3.0)
    assert (record["a"]["name"], record["b"]["name"]) == ("slow:fp32", "fast:bf16")
    assert main(["bench", "--compare", "fast", "slow", *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "A / B   0.333 [0.333, 0.333] of the medians, end to end" in printed
    assert "position 0.00e+00 m" in printed and "same choice in 100 %" in printed


def test_options_reach_the_engine(fakes: dict[str, EngineOptions], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--engine", "fast:fp16", "--jumps", "ddim", "--batch-size", "3", *QUICK]) == 0
    options = fakes["fast"]
    assert (options.precision.value, options.jumps.start_level, options.batch_size) == ("fp16", 10, 3)
    assert options.device == "cpu"


def test_threads_are_torchs(fakes: object, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    try:
        assert main(["bench", "--engine", "fast", "--threads", "3", "--json", *QUICK]) == 0
        assert json.loads(capsys.readouterr().out)["environment"]["threads"] == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("engines", "deadline", "status"),
    [
        (["--engine", "fast"], "10.5", 0),
        (["--engine", "fast"], "9.5", 1),
        (["--compare", "fast", "slow"], "20", 1),
        (["--compare", "fast", "slow"], "31", 0),
    ],
)
def test_a_miss_fails_only_where_that_is_asked_for(engines: list[str], deadline: str, status: int, fakes: object) -> None:
    arguments = ["bench", *engines, "--deadline-ms", deadline, *QUICK]
    assert main(arguments) == 0
    assert main([*arguments, "--fail-on-miss"]) == status


def test_a_frame_without_a_plan_is_status_1(fakes: object, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "--engine", "failing", "--out", str(tmp_path / "record.json"), *QUICK]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "out of memory" in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "plane"], "Did you mean 'plain'"),
        (["--engine", "plain:int8"], "fp32, bf16, fp16"),
        (["--engine", "plain:bf16"], "fp32 only"),
        (["--compare", "plain", "warp"], "no engine called 'warp'"),
        (["--warm-up", "0"], "warm-up"),
        (["--frames", "0"], "At least 1 frame"),
        (["--batch-size", "0"], "batch_size"),
        (["--threads", "0"], "--threads"),
        (["--deadline-ms", "-1"], "--deadline-ms"),
        (["--fail-on-miss"], "--deadline-ms D"),
        (["--device", "abacus"], "--device"),
        (["--checkpoint", "nowhere"], "nowhere"),
        (["--out", "nowhere/record.json"], "nowhere"),
    ],
)
def test_bad_options_are_one_line_and_status_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("diffdrive: error: ") and words in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_gpu_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err
