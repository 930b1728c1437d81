"""The wheel carries everything a user needs: both import names of the top-level folders, the data files, the command."""

import os
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
        "diffdrive_agents/ros2/params.yaml",
        "diffdrive_agents/ros2/dds/host.py",
        "diffdrive_agents/ros2/msgs/autoware_planning_msgs/Trajectory.msg",
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


AGENT_CONFIGS = (
    "diffdrive_configs/navsim/agent/diffusiondrive.yaml",
    "diffdrive_configs/navsim/agent/diffusiondrive_nano.yaml",
    "diffdrive_configs/navsim/agent/diffusiondrive_public.yaml",
)


def test_wheel_holds_the_navsim_agent_and_its_configurations(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {f"diffdrive_agents/{path.name}" for path in (ROOT / "agents").glob("*.py")}
    configs = {f"diffdrive_configs/navsim/agent/{path.name}" for path in (ROOT / "configs/navsim/agent").glob("*.yaml")}
    assert "diffdrive_agents/navsim_agent.py" in sources and configs.issuperset(AGENT_CONFIGS)
    assert not (sources | configs) - names


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages, unpacked."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def composed(installed: Path, module: str, config: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """What Hydra makes of ``config`` of the package ``module``, in a process that finds diffdrive in the wheel first."""
    code = (
        "import sys, diffdrive_configs\n"
        "root, module, config, *overrides = sys.argv[1:]\n"
        "assert diffdrive_configs.__file__.startswith(root)\n"
        "from hydra import compose, initialize_config_module\n"
        "from omegaconf import OmegaConf\n"
        "with initialize_config_module(module, version_base=None):\n"
        "    print(OmegaConf.to_yaml(compose(config, overrides).agent))\n"
    )
    command = [sys.executable, "-c", code, str(installed), module, config, *overrides]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=installed)


@pytest.mark.parametrize("path", AGENT_CONFIGS)
def test_hydra_finds_the_agent_in_an_installed_wheel(installed: Path, path: str) -> None:
    pytest.importorskip("hydra", reason="Hydra is not installed: pip install 'diffdrive[navsim]'")
    # Some other package's configuration: it knows ours by the search path alone, as the devkit's do.
    other = installed / f"other_{Path(path).stem}"
    other.mkdir()
    (other / "__init__.py").touch()
    search = "hydra:\n  searchpath: ['pkg://diffdrive_configs.navsim']\ndefaults: [_self_, {agent: null}]\n"
    (other / "main.yaml").write_text(search)
    done = composed(installed, other.name, "main", f"agent={Path(path).stem}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "_target_: diffdrive_agents.navsim_agent.DiffusionDriveAgent" in done.stdout


@pytest.mark.navsim
@pytest.mark.parametrize(
    ("module", "config"),
    [
        ("training", "default_training"),
        ("pdm_scoring", "default_run_pdm_score"),
        ("pdm_scoring", "default_run_create_submission_pickle"),
    ],
)
def test_the_devkits_own_configurations_take_the_agent(installed: Path, module: str, config: str) -> None:
    done = composed(
        installed,
        f"navsim.planning.script.config.{module}",
        config,
        "hydra.searchpath=[pkg://navsim.planning.script.config.common,pkg://diffdrive_configs.navsim]",
        "agent=diffusiondrive_nano",
        "train_test_split=test",
        "agent.seed=3",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "_target_: diffdrive_agents.navsim_agent.DiffusionDriveAgent" in done.stdout and "seed: 3" in done.stdout
