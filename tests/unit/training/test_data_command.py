"""``diffdrive train`` from the command line, on a cache that is already there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from memory_source import MemorySource

from diffdrive.cli.main import main
from diffdrive.configuration import to_mapping
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import TrainingConfig
from diffdrive.training.engine import features
from diffdrive.training.engine.features import features_to_build, open_cache


@pytest.fixture
def config_file(tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path) -> Path:
    values = to_mapping(tiny_config)
    values["data"]["features"] = str(tiny_cache.folder)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_a_dry_run_builds_nothing_and_says_how_much_there_is_to_build(
    tiny_config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(features, "open_source", lambda config: MemorySource(8))
    monkeypatch.setattr(features, "source_identity", lambda source, config: source.name)
    data = replace(tiny_config.data, cache=tmp_path / "features", features=None)
    config = replace(tiny_config, data=data)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(to_mapping(config)))
    assert main(["train", "--config", str(path), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "8 scenes to build, about 0 MB" in told
    assert "--cache-only" in told
    missing = features_to_build(config)
    assert missing is not None
    assert not data.cache.exists()
    cache = open_cache(config)
    assert cache.folder == missing.folder
    assert cache.num_bytes == pytest.approx(missing.num_bytes, rel=0.5)  # the rest of so small a cache is its index
    assert features_to_build(config) is None


def test_a_dry_run_tells_of_the_steps(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", str(config_file), "--dry-run"]) == 0
    assert "steps     " in capsys.readouterr().out
    assert not (config_file.parent / "tiny").exists()


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
