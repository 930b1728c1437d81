"""The proof in a NAVSIM devkit, without a devkit: versions, commands that are run once, two tables of scores."""

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

import navsim_comparison
import prove_navsim
from command_steps import Step, StepRunner
from navsim_checks import checked_scores, scores_file, trained_checkpoint
from navsim_devkit import SCRIPTS, Devkit, Version, find_devkit
from navsim_steps import AGENTS, NANO, Commands

from diffdrive.contracts import InputError

TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"
V1 = ("run_pdm_score.py", "run_merge_submission_pickles.py")
V2 = ("run_pdm_score.py", "run_pdm_score_one_stage.py", "run_create_submission_pickle_challenge.py")


def clone(folder: Path, scripts: Iterable[str]) -> Path:
    """What a clone of the devkit with these scripts looks like from outside."""
    (folder / SCRIPTS).mkdir(parents=True)
    for name in scripts:
        (folder / SCRIPTS / name).touch()
    return folder


@pytest.mark.parametrize(("scripts", "version"), [(V1, Version.V1), (V2, Version.V2)])
def test_the_version_is_told_by_the_scripts(tmp_path: Path, scripts: tuple[str, ...], version: Version) -> None:
    devkit = find_devkit(clone(tmp_path, scripts), None)
    assert devkit.version is version
    words = devkit.script("run_training")
    assert (words[0], words[-1]) == (sys.executable, str(tmp_path / "navsim/planning/script/run_training.py"))


def test_other_versions_and_other_folders_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"neither NAVSIM v1\.1 nor v2\.2.*run_pdm_score_one_stage"):
        find_devkit(clone(tmp_path / "v2.1", V2[:2]), None)
    with pytest.raises(InputError, match="neither"):
        find_devkit(clone(tmp_path / "v1.0", V1[:1]), None)
    with pytest.raises(InputError, match="no clone of nuplan-devkit"):
        find_devkit(clone(tmp_path / "v1.1", V1), tmp_path)
    assert prove_navsim.main(["--navsim", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "no clone of NAVSIM" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def commands(version: Version, folder: Path) -> Commands:
    devkit = Devkit(version=version, root=folder / "navsim")
    return Commands(devkit=devkit, export=folder / "export", folder=folder, environment={}, seed=5)


def test_each_version_gets_its_own_scripts_and_options(tmp_path: Path) -> None:
    old, new = commands(Version.V1, tmp_path), commands(Version.V2, tmp_path)
    assert f"cache.cache_path={tmp_path}/metric_cache" in old.metric_caching().words
    assert f"metric_cache_path={tmp_path}/metric_cache" in new.metric_caching().words
    first, second = old.scoring(NANO, AGENTS[NANO]), new.scoring(NANO, AGENTS[NANO], traffic="reactive")
    assert Path(first.words[1]).name == "run_pdm_score.py" and "traffic" not in first.command
    assert Path(second.words[1]).name == "run_pdm_score_one_stage.py" and "traffic_agents=reactive" in second.words
    assert "pdms" in old.own_scoring().words and "epdms" in new.own_scoring().words
    assert "agent.seed=5" in old.submission().words and "--seed 5" in old.own_scoring().command


def step(out: Path, code: str) -> Step:
    words = [sys.executable, "-c", code]
    return Step(name="make", words=words, out=out, check=lambda folder: {"files": len(list(folder.iterdir()))}, environment={})


def test_a_step_that_worked_is_not_run_again(tmp_path: Path) -> None:
    out, told = tmp_path / "out", []
    code = f"import pathlib; p = pathlib.Path({str(out)!r}); p.mkdir(); (p / 'a').touch(); print('made')"
    runner = StepRunner(tmp_path / "steps", told.append)
    assert runner.run(step(out, code)) and "made" in (tmp_path / "steps/make.log").read_text()
    (out / "b").touch()
    assert runner.run(step(out, code)) and (out / "b").exists(), "kept"
    assert [outcome.found for outcome in runner.outcomes] == [{"files": 1}] * 2
    assert runner.run(step(out, code + "; print('another command')")) and not (out / "b").exists(), "made anew"
    assert "done before" in told[2] and "done before" not in told[4]


def test_a_step_fails_by_its_status_and_by_what_it_left(tmp_path: Path) -> None:
    def refuse(folder: Path) -> dict[str, int]:
        raise InputError("nothing there")

    runner = StepRunner(tmp_path / "steps", lambda text: None)
    assert not runner.run(step(tmp_path / "out", "raise SystemExit('no map')"))
    empty = Step(name="empty", words=[sys.executable, "-c", ""], out=tmp_path / "out", check=refuse, environment={})
    assert not runner.run(empty)
    assert not runner.run(empty), "a failure is no record"
    errors = [outcome.error for outcome in runner.outcomes]
    assert "no map" in errors[0] and errors[1].startswith("nothing there")


def write_scores(path: Path, rows: str) -> Path:
    path.write_text(",token,valid,comfort,time_to_collision_within_bound,score\n" + rows)
    return path


def test_the_devkits_rows_of_means_are_no_scenes(tmp_path: Path) -> None:
    rows = f"0,{TOKEN},True,1.0,,0.5\n1,{OTHER},True,0.0,1,0.7\n2,average_all_frames,True,0.5,1,0.6\n"
    file = write_scores(tmp_path / "scores.csv", rows)
    found = navsim_comparison.official_scores(file, ["comfort", "time_to_collision", "total"])
    assert set(found) == {TOKEN, OTHER} and found[TOKEN]["total"] == 0.5
    assert math.isnan(found[TOKEN]["time_to_collision"])
    assert checked_scores(tmp_path) == {"scenes": 2, "mean": 0.6}
    write_scores(file, f"0,{TOKEN},False,,,\n")
    with pytest.raises(InputError, match="failed in 1 scenes"):
        navsim_comparison.official_scores(file, ["comfort", "total"])
    with pytest.raises(InputError, match="failed in 1 of 1"):
        checked_scores(tmp_path)


def test_differences_name_the_worst_scene_and_let_missing_values_agree() -> None:
    official = {"s": {"ego_progress": 0.9, "extended_comfort": math.nan}, "t": {"ego_progress": 0.5, "extended_comfort": 1.0}}
    own = {"s": {"ego_progress": 0.9, "extended_comfort": math.nan}, "t": {"ego_progress": 0.7, "extended_comfort": math.nan}}
    progress, comfort = navsim_comparison.differences("human", official, own)
    assert (progress.differing, progress.scenes, progress.worst) == (1, 2, "t")
    assert progress.largest == pytest.approx(0.2)
    assert (progress.official_mean, progress.own_mean) == (pytest.approx(0.7), pytest.approx(0.8))
    assert (comfort.differing, comfort.largest) == (1, math.inf)
    assert "| human | ego_progress | 0.7000 | 0.8000 | 2 | 1 | 2.0e-01 (t) |" in navsim_comparison.table([progress, comfort])


def test_scenes_that_we_did_not_score_are_an_error() -> None:
    with pytest.raises(InputError, match="1 scenes that the devkit scored"):
        navsim_comparison.differences("human", {"s": {"total": 1.0}}, {})


def test_results_are_looked_for_where_the_devkit_writes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one table of scores, has 0"):
        scores_file(tmp_path)
    with pytest.raises(InputError, match="no checkpoint"):
        trained_checkpoint(tmp_path)
    file = tmp_path / "lightning_logs/version_0/checkpoints/epoch=0-step=4.ckpt"
    file.parent.mkdir(parents=True)
    file.touch()
    assert trained_checkpoint(tmp_path) == file


def test_drives_are_chosen_evenly(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / "logs/test" / name).mkdir(parents=True)
    assert prove_navsim.evenly(tmp_path, 2) == ["b", "d"]
    with pytest.raises(InputError, match="between 1 and 4"):
        prove_navsim.evenly(tmp_path, 5)


def test_the_last_log_is_for_validation(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/export.json").write_text(json.dumps({"logs": {"b": {}, "a": {}, "c": {}}}))
    words = commands(Version.V1, tmp_path).training().words
    assert "train_logs=[a,b]" in words and "val_logs=[c]" in words
