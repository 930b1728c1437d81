import json
from pathlib import Path

import pytest
import torch

from diffdrive.cli.main import main
from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.checkpoint import save_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = planner_config("nano", overrides=["num_modes=3", "query_layers=1", "fusion_layers=1"])
    save_checkpoint(tmp_path / "small", PlannerModel(config, torch.zeros(config.anchor_shape)), {"trained_on": "nothing"})
    return tmp_path / "small"


def test_checkpoint_show_tells_size_and_origin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "parameters" in shown
    assert "3 x 8 poses" in shown
    assert "nothing" in shown
    assert main(["checkpoint", "show", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["planner"]["num_modes"] == 3


def test_checkpoint_import_refuses_other_files_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download, out = tmp_path / "page", tmp_path / "out"
    download.write_text("<html>")
    assert main(["checkpoint", "import", str(download), "--out", str(out)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert not out.exists()
