"""The command as a user meets it: help, mistakes, and the demo."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from diffdrive.assets import CHECKPOINTS, LOGS
from diffdrive.cli.main import VERBS, main


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert f"usage: diffdrive {verb}" in capsys.readouterr().out


def test_help_lists_every_verb_with_a_description(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    for verb in VERBS:
        assert re.search(rf"^    {verb}\s+\w\S* \w+", printed, re.MULTILINE), f"{verb} has no description"


def test_help_loads_nothing_slow() -> None:
    program = (
        "import sys\n"
        "from diffdrive.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = ['torch', 'timm', 'matplotlib', 'py123d', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'shapely', 'PIL', 'yaml']\n"
        "sys.exit(', '.join(name for name in slow if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "--source", "logs"], "--logs DIR"),
        (["plan", "--source", "logs", "--logs", "nowhere"], "nowhere"),
        (["plan", "--source", "nuscenes"], "--speed"),
        (["plan", "--speed", "3"], "--source nuscenes"),
        (["plan", "--out", "picture.gif"], ".png"),
        (["plan", "--out", "nowhere/picture.png"], "nowhere"),
        (["plan", "--source", "nuscenes", "--logs", "nowhere", "--speed", "3"], "nowhere"),
        (["evaluate", "--out", "report.pdf"], "HTML"),
        (["demo", "--logs", "nowhere"], "nowhere"),
        (["scenes", "--logs", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("diffdrive: error: ") and words in line
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "VERB"),
        (["fly"], "fly"),
        (["plan", "--source", "carla"], "carla"),
        (["plan", "--scenes"], "--scenes"),
        (["evaluate", "--scenes", "few"], "few"),
    ],
)
def test_misuse_is_one_line_and_status_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and "--help" in line


def test_a_bug_is_not_dressed_up_as_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    import diffdrive.cli.plan as verb

    def broken(source: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(verb, "open_source", broken)
    with pytest.raises(ValueError, match="a bug"):
        main(["plan"])


def test_a_full_disk_is_one_line_and_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import diffdrive.cli.plan as verb

    def full(source: object) -> None:
        raise OSError(28, "No space left on device", "picture.png")

    monkeypatch.setattr(verb, "open_source", full)
    assert main(["plan"]) == 1
    assert capsys.readouterr().err == "diffdrive: error: No space left on device: 'picture.png'\n"


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import diffdrive.cli.plan as verb

    def interrupted(source: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "open_source", interrupted)
    assert main(["plan"]) == 130
    assert "interrupted" in capsys.readouterr().err


HAS_ASSETS = (LOGS / "logs").is_dir() and (CHECKPOINTS / "nano").is_dir()


@pytest.mark.skipif(not HAS_ASSETS, reason="the package was built without its logs or its checkpoint")
def test_the_demo_runs_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFDRIVE_REAL_DATA", str(tmp_path / "none"))
    assert main(["demo", "--scenes", "2", "--out", str(tmp_path / "demo")]) == 0
    printed = capsys.readouterr().out
    for name in ("nano", "constant velocity", "constant turn rate", "ego-status MLP", "minADE", "No real frame"):
        assert name in printed
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 2
    assert page.count("<svg") == 4


@pytest.mark.skipif(not HAS_ASSETS, reason="the package was built without its logs or its checkpoint")
def test_plan_prints_one_line_of_json_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "plan.png"
    assert main(["plan", "--scene", "1", "--out", str(picture), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    plan = json.loads(line)
    assert plan["status"] == "planned" and len(plan["poses"]) == 8 and plan["num_proposals"] == 20
    assert 0 < plan["score"] <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
