"""``diffdrive plan`` and ``diffdrive evaluate`` on a tiny source and an untrained network."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from diffdrive.baselines import EgoStatusMLP
from diffdrive.cli import evaluate as evaluate_verb
from diffdrive.cli import plan as plan_verb
from diffdrive.cli import source_options
from diffdrive.cli.main import main
from diffdrive.cli.progress import ProgressReporter, scene_progress
from diffdrive.contracts import InputError
from diffdrive.evaluation import Candidate, evaluate, sections
from diffdrive.evaluation.lineup import PLANNERS, lineup
from diffdrive.model import PlannerModel, nano
from diffdrive.model.checkpoint import save_checkpoint
from diffdrive.scene import (
    Agents,
    CameraFrame,
    CameraId,
    EgoState,
    Future,
    LidarSweep,
    Modality,
    Observation,
    Scene,
    Trajectory,
)


class TinySource:
    """Three scenes on an empty plane, driven straight at 4, 5 and 6 m/s; the second one's image has an odd size."""

    name = "tiny"
    tokens = ("near", "broken", "far")
    modalities = frozenset({Modality.CAMERAS, Modality.LIDAR, Modality.FUTURE})

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        speed = 4.0 + self.tokens.index(token)
        poses = np.zeros((8, 3))
        poses[:, 0] = speed * 0.5 * np.arange(1, 9)
        return Scene(
            token=token,
            log_name="tiny log",
            location="plane",
            world_from_ego=np.zeros(3),
            observation=self._observation(speed, token, sensors),
            agents=Agents.none(),
            future=Future(ego=Trajectory(poses), agents=(Agents.none(),) * 8),
        )

    def _observation(self, speed: float, token: str, sensors: bool) -> Observation:
        size = (100, 200, 3) if token == "broken" else (270, 480, 3)
        camera = np.diag([240.0, 240.0, 1.0])
        camera[:2, 2] = size[1] / 2, size[0] / 2
        pose = np.eye(4)
        pose[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
        pose[2, 3] = 1.6
        frame = CameraFrame(image=np.full(size, 90, np.uint8), intrinsics=camera, ego_from_camera=pose)
        states = tuple(
            EgoState(timestamp_us=500_000 * k, pose=[speed * 0.5 * (k - 1), 0, 0], velocity=[speed, 0], acceleration=[0, 0])
            for k in range(2)
        )
        return Observation(
            ego_history=states,
            cameras=dict.fromkeys((CameraId.L0, CameraId.F0, CameraId.R0), frame) if sensors else {},
            lidar=LidarSweep(points=np.ones((5, 3))) if sensors else None,
        )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planners") / "untrained"
    torch.manual_seed(0)
    anchors = torch.zeros(nano().anchor_shape)
    anchors[..., 0] = torch.arange(1.0, 21.0)[:, None] * torch.arange(1, 9) * 0.25
    save_checkpoint(folder, PlannerModel(nano(), anchors))
    EgoStatusMLP().save(folder)
    return folder


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinySource]:
    source = TinySource()
    for verb in (plan_verb, evaluate_verb):
        monkeypatch.setattr(verb, "open_source", lambda args: source)
    yield source


def test_plan_prints_and_draws(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "plan.png"
    assert main(["plan", "--scene", "far", "--checkpoint", str(checkpoint), "--out", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "scene   far" in printed and "of 20" in printed and "network" in printed and str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_plan_json_is_one_line_and_repeats(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans = []
    for scene in ("2", "far"):
        assert main(["plan", "--scene", scene, "--checkpoint", str(checkpoint), "--json"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        plans.append(json.loads(line))
        assert set(plans[-1].pop("timing_s")) == {"features", "network", "selection", "total"}
    assert plans[0] == plans[1], "an index and a token name the same scene, and the same scene gives the same plan"
    assert plans[0]["scene"] == "far" and plans[0]["status"] == "planned" and plans[0]["picture"] is None
    assert np.shape(plans[0]["poses"]) == (8, 3) and 0 < plans[0]["score"] < 1


def test_seed_and_jumps_reach_the_network(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    poses = []
    for options in ([], ["--seed", "1"], ["--jumps", "ddim"]):
        main(["plan", "--checkpoint", str(checkpoint), "--json", *options])
        poses.append(json.loads(capsys.readouterr().out)["poses"])
    assert poses[0] != poses[1] and poses[0] != poses[2]


def test_a_fallback_is_told_drawn_and_status_1(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "plan.png"
    arguments = ["plan", "--scene", "broken", "--checkpoint", str(checkpoint), "--json", "--out", str(picture)]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    plan = json.loads(captured.out)
    assert plan["status"] == "sensor_unreadable" and plan["score"] is None and plan["mode"] is None
    assert "comfortable stop" in captured.err
    assert picture.is_file()


@pytest.mark.parametrize("scene", ["3", "-1", "nowhere"])
def test_an_unknown_scene_is_refused(scene: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", f"--scene={scene}", "--checkpoint", str(checkpoint)]) == 2
    assert f"no scene '{scene}'" in capsys.readouterr().err


def test_a_source_without_sensors_is_refused_before_planning(
    tiny: TinySource, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.modalities = frozenset({Modality.FUTURE})  # type: ignore[misc]
    assert main(["plan", "--checkpoint", str(checkpoint)]) == 2
    assert "no cameras and no lidar" in capsys.readouterr().err
    assert main(["evaluate", "--checkpoint", str(checkpoint)]) == 2


def test_a_missing_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--checkpoint", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


def test_evaluate_compares_all_and_reports(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    status = main(["evaluate", "--checkpoint", str(checkpoint), "--out", str(page)])
    assert status == 1, "one scene could only be answered with the fallback"
    captured = capsys.readouterr()
    rows = captured.out.splitlines()
    assert [row.split("  ")[0] for row in rows[2:6]] == [
        "untrained (1 fallbacks)",
        "constant velocity",
        "constant turn rate",
        "ego-status MLP",
    ]
    assert "3 of 3 scenes" in captured.err
    text = page.read_text()
    assert "untrained on tiny" in text and "<dt>Checkpoint</dt><dd>untrained" in text and text.count("<svg") == 4


def test_evaluate_without_the_network_needs_no_sensors(tiny: TinySource, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.modalities = frozenset({Modality.FUTURE})  # type: ignore[misc]
    assert main(["evaluate", "--planners", "constant_velocity", "--scenes", "2", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["source"] == "tiny"
    (row,) = results["results"]
    assert row["candidate"] == "constant velocity" and row["num_scenes"] == 2
    assert row["ade_mean_m"] == pytest.approx(0.0, abs=1e-9)


def test_demo_reports_everything_and_marks_fallbacks(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class RenderedTiny(TinySource):
        renderer_description = "by hand"

        def __init__(self, root: Path, *, cache: Path, renderer: str) -> None:
            assert (root, cache, renderer) == (tmp_path, tmp_path / "demo" / "sensors", "auto")

    monkeypatch.setattr("diffdrive.world.source.WorldSource", RenderedTiny)
    monkeypatch.setenv("DIFFDRIVE_REAL_DATA", str(tmp_path / "nowhere"))
    arguments = ["demo", "--logs", str(tmp_path), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "demo")]
    assert main([*arguments, "--scenes", "3"]) == 1, "one scene could only be answered with the fallback"
    printed = capsys.readouterr().out
    assert "untrained (1 fallbacks)" in printed and "ego-status MLP" in printed and "No real frame" in printed
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("data:image/webp") == 3 and "<dt>Cameras</dt><dd>by hand</dd>" in page
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["report.html"]
    assert main([*arguments, "--scenes", "4"]) == 2
    assert "between 1 and 3" in capsys.readouterr().err


def test_a_file_is_no_folder_for_the_demo(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    assert main(["demo", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "taken")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_scenes_are_chosen_evenly() -> None:
    tokens = [str(index) for index in range(10)]
    assert evaluate_verb.evenly(tokens, None) == tuple(tokens)
    assert evaluate_verb.evenly(tokens, 10) == tuple(tokens)
    assert evaluate_verb.evenly(tokens, 2) == ("2", "7")
    for count in (0, 11):
        with pytest.raises(InputError, match="between 1 and 10"):
            evaluate_verb.evenly(tokens, count)


def test_progress_is_rare_but_always_ends(capsys: pytest.CaptureFixture[str]) -> None:
    ticks = iter([0.0, 1.0, 6.0, 7.0])
    show = scene_progress(3, ProgressReporter(every_s=5.0, clock=lambda: next(ticks)))
    scene = TinySource().load("near")
    for done in (1, 2, 3):
        show(done, scene)
    assert capsys.readouterr().err.splitlines() == ["  2 of 3 scenes, 6 s, about 3 s left", "  3 of 3 scenes, 7 s"]


def test_verbs_and_lineup_name_the_same_planners() -> None:
    assert evaluate_verb.PLANNERS == PLANNERS


def test_lineup_refuses_what_it_cannot_build() -> None:
    with pytest.raises(InputError, match="no planner 'human'"):
        lineup(["human"], None)
    with pytest.raises(InputError, match="needs the folder of a checkpoint"):
        lineup(["ego_status_mlp"], None)
    with pytest.raises(InputError, match="needs a planner, got none"):
        lineup(["network"], None)


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    options = argparse.Namespace(source="logs", logs=tmp_path, speed=3.0, cache=None, renderer="auto")
    with pytest.raises(InputError, match="--speed belongs to"):
        source_options.open_source(options)


def test_the_gallery_shows_ranks_at_equal_steps(tiny: TinySource) -> None:
    def slow(observation: Observation) -> Trajectory:
        return Trajectory(np.zeros((8, 3)))

    candidates = [Candidate("slow", slow), Candidate("also slow", slow)]
    evaluation = evaluate(tiny, candidates)
    shown = sections.gallery(tiny, evaluation, candidates, "slow", 2)
    assert [figure.title.split(":")[0] for figure in shown.figures] == ["Rank 1 of 3", "Rank 3 of 3"]
    assert shown.figures[0].title.startswith("Rank 1 of 3: ADE 9.00 m")
    assert all(isinstance(figure.content, bytes) and figure.content[8:12] == b"WEBP" for figure in shown.figures)
    drawn = sections.overlay(tiny.load("near"), candidates, "slow")
    assert drawn.proposals is None and list(drawn.baselines) == ["also slow"]


def test_results_stay_as_measured(tiny: TinySource) -> None:
    evaluation = evaluate(tiny, [Candidate("still", lambda observation: Trajectory(np.zeros((8, 3))))])
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluation.results[0].interval_s = 1.0  # type: ignore[misc]
