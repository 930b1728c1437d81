"""``diffdrive navsim submit-check``: exit status, text and JSON; and the file that an installed devkit writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from submission_files import bends, plans, sound, token, write

from diffdrive.assets import LOGS
from diffdrive.cli.main import main
from diffdrive.sources import Arrow123dSource


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "submission.pkl", sound())


def test_a_sound_file_passes_in_two_lines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["navsim", "submit-check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: NAVSIM v1.1, scenes in predictions 12\n0 errors, 0 warnings\n"


def test_warnings_pass_and_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "submission.pkl", {**sound("v2.2"), "team_name": "test"})
    assert main(["navsim", "submit-check", str(file)]) == 0
    head, finding, total = capsys.readouterr().out.splitlines()
    assert head.endswith("NAVSIM v2.2, scenes in first_stage_predictions 12, second_stage_predictions 12")
    assert finding == "warning: 'team_name' looks like a placeholder: 'test'."
    assert total == "0 errors, 1 warnings"


def test_errors_fail_with_a_few_scenes_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = plans(bends(12).astype("float16"))
    file = write(tmp_path / "submission.pkl", {**sound(), "email": "", "predictions": [half]})
    assert main(["navsim", "submit-check", str(file)]) == 1
    _, email, form, total = capsys.readouterr().out.splitlines()
    assert email == "error: 'email' is empty."
    examples = ", ".join(token(i) for i in range(5))
    assert form == f"error: predictions: poses must be float32 or float64, got float16. 12 scenes: {examples}, ..."
    assert total == "2 errors, 0 warnings"


def test_json_is_one_line_with_everything(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tokens.txt").write_text("\n".join(token(i) for i in range(14)))
    assert main(["navsim", "submit-check", str(file), "--tokens", str(tmp_path / "tokens.txt"), "--json"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    (finding,) = found.pop("findings")
    assert found == {"file": str(file), "version": "v1.1", "scenes": {"predictions": 12}, "errors": 1, "warnings": 0}
    assert (finding["severity"], finding["scenes"], finding["examples"]) == ("error", 2, [token(12), token(13)])
    assert "2 of 14 expected scenes are missing" in finding["message"]


@pytest.mark.parametrize(
    "words", [["--data", "root"], ["--split", "mini"], ["--tokens", "a.txt", "--data", "root", "--split", "mini"]]
)
def test_scenes_are_expected_from_one_place(file: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["navsim", "submit-check", str(file), *words]) == 2
    assert "either from --tokens LIST, or from --data ROOT with --split SPLIT" in capsys.readouterr().err


def test_another_file_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["navsim", "submit-check", str(tmp_path / "none.pkl")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"diffdrive: error: '{tmp_path}/none.pkl' is no file. Check the path.\n"


@pytest.mark.navsim
def test_what_the_installed_devkit_writes_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import navsim.planning.script as scripts
    from navsim.common.dataclasses import SceneFilter

    export = tmp_path / "export"
    log = Arrow123dSource(LOGS).logs[0].log_name
    words = ["world", "export-navsim", str(LOGS), "--out", str(export), "--split", "mini", "--logs", log, "--no-sensors"]
    assert main(words) == 0
    script = Path(next(iter(scripts.__path__))) / "run_create_submission_pickle.py"
    roots = {"OPENSCENE_DATA_ROOT": export, "NUPLAN_MAPS_ROOT": export / "maps", "NAVSIM_EXP_ROOT": tmp_path}
    # Without a list of synthetic scenes v2.2's script fails.
    lists = [name for name in ("reactive_synthetic_initial_tokens",) if name in SceneFilter.__dataclass_fields__]
    split = ["train_test_split=test", "train_test_split.data_split=mini", "train_test_split.scene_filter.frame_interval=1"]
    team = ["team_name=Drivers", "authors=Someone", "email=a@university.edu", "institution=Somewhere", "country=Iceland"]
    run = ["agent=constant_velocity_agent", "worker=sequential", "experiment_name=check", f"output_dir={tmp_path}"]
    subprocess.run(
        [sys.executable, str(script), *split, *(f"++train_test_split.scene_filter.{name}=[]" for name in lists), *run, *team],
        env={**os.environ, **{name: str(root) for name, root in roots.items()}, "NUPLAN_MAP_VERSION": "nuplan-maps-v1.0"},
        check=True,
    )
    capsys.readouterr()
    words = ["navsim", "submit-check", str(tmp_path / "submission.pkl"), "--data", str(export), "--split", "mini", "--json"]
    status = main(words)
    found = json.loads(capsys.readouterr().out)
    assert (status, found["errors"]) == (0, 0), found
    assert max(found["scenes"].values()) > 5
