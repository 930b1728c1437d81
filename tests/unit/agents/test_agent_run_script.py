"""Running a devkit script in a process whose torch was made ready first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from diffdrive_agents.run_script import main


def test_a_script_sees_its_arguments_its_folder_and_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("argv", "path"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    (tmp_path / "neighbour_of_script.py").write_text("NAME = 'found'\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, torch, neighbour_of_script as neighbour\n"
        "ready = torch.version.cuda is not None or hasattr(torch.ops.torchvision, 'nms')\n"
        "print(__name__, sys.argv[1:], neighbour.NAME, ready)\n"
    )
    main([str(script), "agent=x", "--flag"])
    assert capsys.readouterr().out.strip() == "__main__ ['agent=x', '--flag'] found True"


@pytest.mark.parametrize("arguments", [[], ["gone.py"]])
def test_a_script_that_is_not_there_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"usage: python -m diffdrive_agents\.run_script SCRIPT"):
        main(arguments)
