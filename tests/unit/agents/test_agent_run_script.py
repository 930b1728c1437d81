"""Running a devkit script in a process whose torch was made ready first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from diffdrive_agents.run_script import main


def test_a_script_sees_its_arguments_its_folder_and_the_operators(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("NAME = 'found'\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, torch, neighbour\n"
        "ready = torch.version.cuda is not None or hasattr(torch.ops.torchvision, 'nms')\n"
        "print(__name__, sys.argv[1:], neighbour.NAME, ready)\n"
    )
    command = [sys.executable, "-m", "diffdrive_agents.run_script", str(script), "agent=x", "--flag"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "__main__ ['agent=x', '--flag'] found True"


@pytest.mark.parametrize("arguments", [[], ["gone.py"]])
def test_a_script_that_is_not_there_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"usage: python -m diffdrive_agents\.run_script SCRIPT"):
        main(arguments)
