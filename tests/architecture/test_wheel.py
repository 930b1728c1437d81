"""The wheel carries everything a user needs: both import names of the top-level folders, the data files, the command."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("*.whl"))


def test_wheel_holds_the_assets_and_configs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "diffdrive_configs/training/nano.yaml",
        "diffdrive/assets/checkpoints/nano/config.json",
        "diffdrive/runtime/native/winograd.cpp",
    ):
        assert needed in names
    assert any(name.startswith("diffdrive/assets/logs/") and name.endswith(".arrow") for name in names)
    assert any(name.startswith("diffdrive_anchors/") and name.endswith(".npy") for name in names)


def test_wheel_installs_alone_and_its_folders_import(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    code = (
        "import importlib.resources as r, diffdrive, diffdrive_agents, diffdrive_anchors;"
        "print(r.files('diffdrive_configs').joinpath('training/nano.yaml').is_file(), diffdrive.__version__)"
    )
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split()[0] == "True"
