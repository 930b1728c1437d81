"""A clone of the NAVSIM devkit: its version, and the environment that its scripts run in. Nothing is imported from it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

from diffdrive.contracts import InputError

SCRIPTS = Path("navsim/planning/script")
DECLARE = "from diffdrive.torchvision_ops import declare_missing_ops; declare_missing_ops()"

_V1_FILES = {
    "run_pdm_score.py": True,
    "run_merge_submission_pickles.py": True,
    "config/common/default_dataset_paths.yaml": False,
}
_V2_FILES = {"run_pdm_score_one_stage.py": True, "run_create_submission_pickle_challenge.py": True}


class Version(Enum):
    """The devkits that this tool knows. Their setup.py does not tell: v2.2 calls itself 2.0.0."""

    V1 = "v1.1"
    V2 = "v2.2"

    @property
    def metric(self) -> str:
        """Our name of what it scores by."""
        return "pdms" if self is Version.V1 else "epdms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Devkit:
    """An unmodified clone of navsim and, if it is not installed, one of nuplan-devkit."""

    version: Version
    root: Path
    nuplan: Path | None = None
    runner: tuple[str, ...] = ()
    """Between Python and a script, where Lightning does not import by itself."""

    def script(self, name: str) -> list[str]:
        """The words that start one of its scripts."""
        return [sys.executable, *self.runner, str(self.root / SCRIPTS / f"{name}.py")]

    def environment(self, export: Path, experiments: Path) -> dict[str, str]:
        """The variables that its scripts read, for the data in ``export``."""
        paths = [self.root, *([self.nuplan] if self.nuplan else [])]
        return {
            "OPENSCENE_DATA_ROOT": str(export),
            "NUPLAN_MAPS_ROOT": str(export / "maps"),
            "NUPLAN_MAP_VERSION": "nuplan-maps-v1.0",
            "NAVSIM_EXP_ROOT": str(experiments),
            "NAVSIM_DEVKIT_ROOT": str(self.root),
            "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
            "HYDRA_FULL_ERROR": "1",
        }


def find_devkit(navsim: Path, nuplan: Path | None) -> Devkit:
    """The devkit in these folders. Raises ``InputError`` for folders that hold none, and for a version that is not known."""
    root = navsim.resolve()
    if not (root / SCRIPTS).is_dir():
        raise InputError(
            f"'{navsim}' is no clone of NAVSIM: it has no {SCRIPTS}. Clone autonomousvision/navsim at v1.1 or v2.2."
        )
    if nuplan is not None and not (nuplan / "nuplan/database/maps_db").is_dir():
        raise InputError(f"'{nuplan}' is no clone of nuplan-devkit: it has no nuplan/database/maps_db.")
    # The package index's wheels of torchvision are CUDA builds, which do not load beside a CPU build of torch, 2.13.0+cpu.
    torch_build, vision_build = (metadata.version(name).partition("+")[2] for name in ("torch", "torchvision"))
    return Devkit(
        version=_version(root),
        root=root,
        nuplan=None if nuplan is None else nuplan.resolve(),
        runner=() if torch_build == vision_build else ("-m", "diffdrive_agents.run_script"),
    )


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise ``InputError`` where this Python cannot import the devkit or our agent, with the import's own words."""
    for module, cure in (
        ("nuplan.common.maps.nuplan_map.map_factory", "Install nuplan-devkit, or give its clone: --nuplan PATH."),
        ("navsim.common.dataloader", "Install what the devkit needs: pip install 'diffdrive[navsim]' (docs/navsim.md)."),
        ("pytorch_lightning, hydra", "Install what the devkit needs: pip install 'diffdrive[navsim]' (docs/navsim.md)."),
        ("diffdrive_agents.navsim_agent, diffdrive_configs.navsim", "Install diffdrive into this environment: pip install ."),
    ):
        done = _python(f"{DECLARE}; import {module}", environment)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise InputError(f"'import {module}' fails in {sys.executable}: {last} {cure}")


def _version(root: Path) -> Version:
    for version, files in ((Version.V2, _V2_FILES), (Version.V1, _V1_FILES)):
        if all((root / SCRIPTS / name).is_file() == is_there for name, is_there in files.items()):
            return version
    scripts = ", ".join(sorted(path.name for path in (root / SCRIPTS).glob("run_*.py"))) or "none"
    raise InputError(
        f"'{root}' is neither NAVSIM v1.1 nor v2.2, as far as its scripts tell ({scripts}). Check out one of these tags."
    )


def _python(code: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}, cwd="/"
    )
