"""``diffdrive train`` from the command line, on a cache that is already there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from diffdrive.cli.main import main
from diffdrive.configuration import to_mapping
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig


@pytest.fixture
def config_file(tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path) -> Path:
    values = to_mapping(tiny_config)
    values["data"]["features"] = str(tiny_cache.folder)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_cache_only_trains_nothing(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(config_file), "--cache-only"]) == 0
    assert "12 scenes" in capsys.readouterr().out
    assert not (config_file.parent / "tiny").exists()


def test_a_cache_of_another_layout_is_refused(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(config_file), "planner.targets.num_agents=5"]) == 2
    assert "made for other targets" in capsys.readouterr().err


def test_unknown_keys_name_the_closest(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(config_file), "optimizer.learning=1"]) == 2
    assert "optimizer has no key 'learning'. Known keys: anneal_by_time" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_one_planner(config_file: Path) -> None:
    words = ["train", "--config", str(config_file), "devices=2", "threads=1", "epochs=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run(
        [sys.executable, "-m", "diffdrive.cli.main", *words],
        cwd=config_file.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("planner   '") == 1, "only the first process reports"
    assert (config_file.parent / "tiny" / "export" / "model.safetensors").is_file()
