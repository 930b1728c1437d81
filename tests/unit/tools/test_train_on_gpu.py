"""What a training within a given time brings back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import train_on_gpu

from diffdrive.training.fit import FitResult


def test_weights_and_logs_come_back(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    for path in ("export/model.safetensors", "log-0/metrics.csv", "log-0.yaml", "checkpoints/last.ckpt"):
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_text(path)
    result = FitResult(folder=run, export=run / "export", metrics={"ade": 1.0})
    train_on_gpu.bring_back(result, out, {"steps": 3})
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert found == {"export/model.safetensors", "log/log-0/metrics.csv", "gpu_training.json"}
    assert json.loads((out / "gpu_training.json").read_text()) == {"steps": 3}


def test_it_wants_time_to_start_and_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["train_on_gpu.py", "--features", str(tmp_path), "--out", str(tmp_path), "--device", "cpu", "--minutes", "1"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="more than 1"):
        train_on_gpu.main()
