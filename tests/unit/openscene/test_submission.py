"""Every fault that a submission can have is found and named, and nothing is said of a sound one."""

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from submission_files import TEAM, Trajectory, TrajectorySampling, bends, plans, sound, token, write

from diffdrive.contracts import InputError
from diffdrive.openscene.submission import (
    ExpectedTokens,
    Finding,
    Severity,
    check_submission,
    expected_from_data,
    expected_from_file,
    read_submission,
)

Content = dict[str, Any]


def findings_of(tmp_path: Path, content: Any, expected: ExpectedTokens | None = None, **named: Any) -> tuple[Finding, ...]:
    return check_submission(read_submission(write(tmp_path / "submission.pkl", content, **named)), expected)


@pytest.mark.parametrize("version", ["v1.1", "v2.2"])
def test_nothing_is_said_of_a_sound_one(tmp_path: Path, version: str) -> None:
    submission = read_submission(write(tmp_path / "submission.pkl", sound(version)))
    assert submission.version == version
    assert set(submission.num_scenes.values()) == {12}
    assert check_submission(submission) == ()


@pytest.mark.parametrize("poses", [bends(12, curvature=0.0), bends(12, dtype=np.float64), np.array(bends(12), order="F")])
def test_nor_of_straight_drives_doubles_and_other_orders(tmp_path: Path, poses: np.ndarray) -> None:
    assert findings_of(tmp_path, {**TEAM, "predictions": [plans(poses)]}) == ()


@pytest.mark.parametrize("protocol", [2, 3])
def test_numpy_2_is_pointed_out(tmp_path: Path, protocol: int) -> None:
    (finding,) = findings_of(tmp_path, sound(), numpy=2, protocol=protocol)
    assert finding.severity is Severity.WARNING
    assert "numpy 2" in finding.message


def plan(poses: Any, **sampling: Any) -> Trajectory:
    return Trajectory(poses, TrajectorySampling(**sampling))


def nan_poses() -> np.ndarray:
    poses = bends(1)[0].copy()
    poses[3, 1] = np.nan
    return poses


ONE = bends(12)[5]

FORMS = {
    "no trajectory": (ONE, "a numpy array stands where a Trajectory must"),
    "a list": (plan(ONE.tolist()), "must be a numpy array, got list"),
    "two columns": (plan(ONE[:, :2]), "shape (8, 3) of x, y and heading, got (8, 2)"),
    "batched": (plan(ONE[None]), "got (1, 8, 3)"),
    "no poses": (plan(ONE[:0]), "got (0, 3)"),
    "half": (plan(ONE.astype(np.float16)), "must be float32 or float64, got float16"),
    "objects": (plan(ONE.astype(object)), "must be float32 or float64, got object"),
    "nan": (plan(nan_poses()), "NaN or infinite"),
    "too few": (plan(ONE[:6]), "does not fit 6 poses"),
    "inconsistent": (plan(ONE, interval_length=0.1), "does not fit 8 poses"),
    "short": (plan(ONE[:6], num_poses=6, time_horizon=3.0), "must reach 4 s ahead"),
    "no horizon": (plan(ONE, time_horizon=None), "must have num_poses, time_horizon and interval_length"),
    "text": (plan(ONE, num_poses="8"), "must have num_poses, time_horizon and interval_length, got '8', 4.0, 0.5"),
    "no sampling": (Trajectory(ONE, (8, 0.5)), "must be nuPlan's TrajectorySampling, got tuple"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_trajectory_of_bad_form_is_an_error_that_names_its_scene(tmp_path: Path, kind: str) -> None:
    content, (value, message) = sound(), FORMS[kind]
    content["predictions"][0][token(5)] = value
    (finding,) = findings_of(tmp_path, content)
    assert finding.severity is Severity.ERROR
    assert message in finding.message
    assert finding.message.startswith("predictions: ")
    assert (finding.num_scenes, finding.examples) == (1, (token(5),))


def test_another_interval_is_only_unusual(tmp_path: Path) -> None:
    ticks = np.linspace(0.1, 4, 40, dtype=np.float32)
    poses = [np.stack([speed * ticks, 0 * ticks, 0 * ticks], axis=1) for speed in (3.0, 4.0)]
    fast = plans(np.array(poses), num_poses=40, interval_length=0.1)
    (finding,) = findings_of(tmp_path, {**TEAM, "predictions": [fast]})
    assert (finding.severity, finding.num_scenes) == (Severity.WARNING, 2)
    assert "0.1 s apart" in finding.message


def turned(change: Callable[[np.ndarray], Any]) -> np.ndarray:
    poses = bends(12, dtype=np.float64)
    poses[...] = change(poses.copy())
    return poses


def with_column(poses: np.ndarray, column: int, values: Any) -> np.ndarray:
    poses[..., column] = values
    return poses


MEANINGS = {
    "degrees": (turned(lambda p: with_column(p, 2, np.degrees(p[..., 2]))), Severity.ERROR, "headings are in degrees"),
    "clockwise": (turned(lambda p: with_column(p, 2, -p[..., 2])), Severity.WARNING, "turn the other way"),
    "y to the right": (turned(lambda p: with_column(p, 1, -p[..., 1])), Severity.WARNING, "turn the other way"),
    "no headings": (turned(lambda p: with_column(p, 2, 0.0)), Severity.WARNING, "headings stay near zero"),
    "axes swapped": (turned(lambda p: p[..., [1, 0, 2]]), Severity.WARNING, "sideways or backwards"),
    "backwards": (turned(lambda p: p * [-1, -1, 1]), Severity.WARNING, "sideways or backwards"),
    "in the map": (turned(lambda p: p + [331000.0, 4690000.0, 0]), Severity.ERROR, "the first pose is up to 4.702e+06 m"),
    "beyond all numbers": (turned(lambda p: p * [1e300, 1, 1]), Severity.ERROR, "the first pose is up to"),
    "centimetres": (turned(lambda p: p * [100, 100, 1]), Severity.ERROR, "Poses are in the ego's frame, in metres"),
    "a jump": (turned(lambda p: with_column(p, 0, p[..., 0] + 30 * (np.arange(8) > 3))), Severity.WARNING, "m/s, beyond 50"),
    "full turns": (
        turned(lambda p: with_column(p, 2, p[..., 2] + 4 * np.pi * (np.arange(8) > 6))),
        Severity.WARNING,
        "beyond pi",
    ),
    "one answer": (turned(lambda p: p[:1]), Severity.ERROR, "every scene has the same trajectory"),
    "zeros": (turned(lambda p: p * (np.arange(12) % 2)[:, None, None]), Severity.WARNING, "share one trajectory (all zeros)"),
}


@pytest.mark.parametrize("kind", MEANINGS)
def test_what_cannot_be_meant_is_found(tmp_path: Path, kind: str) -> None:
    poses, severity, message = MEANINGS[kind]
    found = [(finding.severity, finding.message) for finding in findings_of(tmp_path, {**TEAM, "predictions": [plans(poses)]})]
    assert any(each is severity and message in text for each, text in found), found


def test_a_fallback_in_some_scenes_names_these(tmp_path: Path) -> None:
    poses = bends(12)
    poses[[2, 7, 9]] = 0
    (finding,) = findings_of(tmp_path, {**TEAM, "predictions": [plans(poses)]})
    assert finding.examples == (token(2), token(7), token(9))


TEAMS = {
    "missing": ({"email": ...}, Severity.ERROR, "'email' is missing: pass email="),
    "renamed": (
        {"country / region": ..., "country": "Iceland"},
        Severity.ERROR,
        "'country / region' is missing: pass country=",
    ),
    "unknown": ({"country": "Iceland"}, Severity.WARNING, "'country' is no field"),
    "empty": ({"team_name": "  "}, Severity.ERROR, "'team_name' is empty"),
    "no text": ({"authors": ["A", "B"]}, Severity.ERROR, "'authors' must be text, got <list>"),
    "no address": ({"email": "a.author at university"}, Severity.ERROR, "'email' must be one address"),
    "two addresses": ({"email": "a@b.edu, c@d.edu"}, Severity.ERROR, "'email' must be one address"),
    "template": ({"team_name": "<your team>"}, Severity.WARNING, "looks like a placeholder"),
    "question marks": ({"institution": "???"}, Severity.WARNING, "looks like a placeholder"),
    "example": ({"email": "me@example.com"}, Severity.WARNING, "looks like a placeholder"),
}


@pytest.mark.parametrize("kind", TEAMS)
def test_who_sends_it_must_be_said(tmp_path: Path, kind: str) -> None:
    changes, severity, message = TEAMS[kind]
    content = {key: value for key, value in {**sound(), **changes}.items() if value is not ...}
    found = [(finding.severity, finding.message) for finding in findings_of(tmp_path, content)]
    assert any(each is severity and message in text for each, text in found), found


class ListConfig:
    def __init__(self) -> None:
        self.parent = {"path": "/home/someone/secret"}


class Rebuilt:
    def __reduce__(self) -> Any:
        return Tensor, (1, 2)


class Tensor:
    def __init__(self, *_values: int) -> None:
        pass


ListConfig.__module__, Tensor.__module__ = "omegaconf.listconfig", "torch._utils"


def test_objects_of_the_usual_libraries_are_named_not_loaded(tmp_path: Path) -> None:
    content = sound()
    content["authors"] = ListConfig()
    content["predictions"][0][token(5)] = plan(Rebuilt())
    authors, poses = findings_of(tmp_path, content, classes=(ListConfig, Tensor))
    assert (authors.severity, poses.severity) == (Severity.WARNING, Severity.ERROR)
    assert "'authors' is a omegaconf.listconfig.ListConfig" in authors.message
    assert "poses are a torch._utils object, not a numpy array: call .cpu().numpy()" in poses.message


LISTS = {
    "no list": (plans(bends(3)), "must be a list with one dict of trajectories by token, got a dict"),
    "empty list": ([], "got a list of 0"),
    "list of trajectories": ([plan(ONE)], "got a list of 1"),
    "no scenes": ([{}], "is empty"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_predictions_are_a_list_with_one_dict(tmp_path: Path, kind: str) -> None:
    value, message = LISTS[kind]
    (finding,) = findings_of(tmp_path, {**TEAM, "predictions": value})
    assert finding.severity is Severity.ERROR
    assert message in finding.message


def test_several_runs_in_one_file_are_for_v1_only(tmp_path: Path) -> None:
    old, new = sound("v1.1"), sound("v2.2")
    old["predictions"] *= 2
    new["first_stage_predictions"] *= 2
    assert [finding.severity for finding in findings_of(tmp_path, old)] == [Severity.WARNING]
    assert [finding.severity for finding in findings_of(tmp_path, new)] == [Severity.ERROR]


def test_both_stages_are_needed_and_have_scenes_of_their_own(tmp_path: Path) -> None:
    content = sound("v2.2")
    del content["second_stage_predictions"]
    (missing,) = findings_of(tmp_path, content)
    assert missing.message.startswith("second_stage_predictions: must be a list with one dict")
    content["second_stage_predictions"] = [plans(bends(12))]
    twice, lengths = findings_of(tmp_path, content)
    assert "in both stages" in twice.message
    assert "more than 16 characters, being synthetic" in lengths.message
    assert twice.num_scenes == lengths.num_scenes == 12


def test_tokens_are_text_of_16_characters(tmp_path: Path) -> None:
    content = sound()
    plans = content["predictions"][0]
    plans[7], plans["short"] = plans.pop(token(3)), plans.pop(token(4))
    (finding,) = findings_of(tmp_path, content)
    assert finding.severity is Severity.ERROR
    assert finding.examples == ("7", "short")


def test_missing_and_unexpected_scenes_are_counted_and_named(tmp_path: Path) -> None:
    expected = ExpectedTokens(first=frozenset(token(i) for i in range(2, 20)), second=frozenset())
    missing, unexpected = findings_of(tmp_path, sound(), expected)
    assert "8 of 18 expected scenes are missing" in missing.message
    assert missing.examples == tuple(token(i) for i in range(12, 17))
    assert "2 of 12 scenes are not expected" in unexpected.message
    assert unexpected.examples == (token(0), token(1))


def test_an_empty_second_stage_is_right_where_no_synthetic_scene_is_expected(tmp_path: Path) -> None:
    content = {**sound("v2.2"), "second_stage_predictions": [{}]}
    first = frozenset(token(i) for i in range(12))
    assert findings_of(tmp_path, content, ExpectedTokens(first=first, second=frozenset())) == ()
    second = frozenset([token(1, synthetic=True)])
    (finding,) = findings_of(tmp_path, content, ExpectedTokens(first=first, second=second))
    assert finding.message.startswith("second_stage_predictions: is empty.")
    (finding,) = findings_of(tmp_path, content)
    assert "Two-stage scoring has no result without it" in finding.message


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("touch broken",)


def test_what_would_run_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'.*submission.pkl' names '(posix|nt).system'"):
        findings_of(tmp_path, {**sound(), "team_name": Shell()})
    assert not (tmp_path / "broken").exists()


def log_by_mistake(whole: bytes) -> bytes:
    return pickle.dumps([{"token": token(0)}])


FILES = {
    "truncated": (lambda whole: whole[:-100], "is no whole pickle"),
    "cut to two bytes": (lambda whole: whole[:2], "is no whole pickle"),
    "empty": (lambda whole: b"", "is empty"),
    "gzip": (gzip.compress, "is a gzip file. Unpack it"),
    "zip": (lambda whole: b"PK\x03\x04" + whole, "is a zip"),
    "table": (lambda whole: b"token,valid,score\n0,True,1.0\n", "is text, a table of scores perhaps"),
    "picture": (lambda whole: b"\xff\xd8\xff" + whole, "is no pickle"),
    "log": (log_by_mistake, "holds a list; a submission is the dict"),
    "metrics": (lambda whole: pickle.dumps({"scores": 1}), "is of no devkit known here.*it has: 'scores'"),
    "both": (lambda whole: pickle.dumps({"predictions": [], "first_stage_predictions": []}), "is of two devkits at once"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_submission_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    change, message = FILES[kind]
    path = write(tmp_path / "submission.pkl", sound())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=f"'{path}' {message}"):
        read_submission(path)


def test_a_file_of_two_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "submission.pkl"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match=r"has 2048 MiB.*at most 256 MiB are read"):
        read_submission(path)
    with pytest.raises(InputError, match="is no file"):
        read_submission(tmp_path)


REAL, SYNTHETIC = [token(1), token(2)], [token(1, synthetic=True), token(2, synthetic=True)]


def yaml_of(**lists: list[str] | None) -> str:
    lines = ["_target_: navsim.common.dataclasses.SceneFilter", "num_history_frames: 4"]
    for key, tokens in lists.items():
        lines += [f"{key}: null"] if tokens is None else [f"{key}:", *(f"- '{each}'" for each in tokens)]
    return "\n".join(lines)


LISTED = {
    "filter.yaml": (yaml_of(tokens=REAL), REAL, []),
    "two_stages.yaml": (yaml_of(tokens=REAL + SYNTHETIC), REAL, SYNTHETIC),
    "reactive.yaml": (yaml_of(tokens=REAL + SYNTHETIC, reactive_synthetic_initial_tokens=SYNTHETIC[1:]), REAL, SYNTHETIC[1:]),
    "synthetic.yaml": (yaml_of(tokens=REAL, synthetic_scene_tokens=SYNTHETIC), REAL, SYNTHETIC),
    "tokens.json": (f'["{REAL[0]}"]', REAL[:1], []),
    "tokens.txt": ("\n".join([*REAL, "", *SYNTHETIC]), REAL, SYNTHETIC),
}


@pytest.mark.parametrize("name", LISTED)
def test_expected_scenes_come_from_filters_and_lists(tmp_path: Path, name: str) -> None:
    text, first, second = LISTED[name]
    (tmp_path / name).write_text(text)
    expected = expected_from_file(tmp_path / name)
    assert (expected.first, expected.second) == (frozenset(first), frozenset(second))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("all_scenes.yaml", yaml_of(tokens=None), "names no tokens"),
        ("split.yaml", "data_split: test\ndefaults:\n- scene_filter: navtest\n", "in the devkit's scene_filter folder"),
        ("broken.yaml", "tokens: [", "is no YAML"),
        ("numbers.yaml", "tokens:\n- 1234567890123456\n", "each a text"),
        ("broken.json", "[", "is no JSON"),
        ("scores.txt", "token,score\n", "lists 'token,score', which is no token"),
        ("empty.txt", "", "must list tokens"),
    ],
)
def test_a_list_without_tokens_is_refused_by_name(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        expected_from_file(tmp_path / name)
    assert name in str(refusal.value)


def write_log(root: Path, name: str, frames: list[Any]) -> None:
    folder = root / "navsim_logs" / "mini"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(frames))


def test_expected_scenes_of_a_split_have_a_past_a_future_and_a_route(tmp_path: Path) -> None:
    write_log(tmp_path, "a", [{"token": token(i), "roadblock_ids": [] if i == 4 else ["7"]} for i in range(16)])
    write_log(tmp_path, "short", [{"token": token(100 + i), "roadblock_ids": ["7"]} for i in range(13)])
    expected = expected_from_data(tmp_path, "mini")
    assert expected.first == {token(3), token(5)}, "the devkit's 14 frames a scene, moved one by one, without that of no route"
    assert expected.second == frozenset()


def test_logs_that_name_no_scenes_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no log pickles"):
        expected_from_data(tmp_path, "mini")
    write_log(tmp_path, "short", [{"token": token(i), "roadblock_ids": ["7"]} for i in range(13)])
    with pytest.raises(InputError, match="no frame in the 1 logs"):
        expected_from_data(tmp_path, "mini")
    write_log(tmp_path, "other", [{"token": token(i)} for i in range(14)])
    with pytest.raises(InputError, match=r"other.pkl' .* has no 'roadblock_ids'"):
        expected_from_data(tmp_path, "mini")
