"""What a user sees when a scene's data are broken: an error that names the scene and the cause, and no trajectory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import navsim_stand_ins as stand_ins
import numpy as np
import pytest
import torch
from diffdrive_agents.inference import NotPlannedError

from diffdrive.contracts import InputError

AgentInput = stand_ins.AgentInput
CAMERA = "drive/cam_l0/7.jpg"


def set_image(given: AgentInput, *cameras: str, image: Any) -> None:
    for name in cameras:
        getattr(given.cameras[-1], name).image = image


def set_status(given: AgentInput, **values: Any) -> None:
    for name, value in values.items():
        setattr(given.ego_statuses[-1], name, np.array(value, dtype=np.float32))


def set_points(given: AgentInput, points: Any) -> None:
    given.lidars[-1].lidar_pc = points


def with_bad_point(given: AgentInput, value: float) -> None:
    given.lidars[-1].lidar_pc[1, 3] = value


def zeros(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.zeros(shape, dtype)


BROKEN: dict[str, tuple[Callable[[AgentInput], Any], str]] = {
    "no camera": (lambda given: set_image(given, "cam_l0", image=None), "Missing: l0"),
    "no cameras at all": (lambda given: given.cameras.clear(), "Missing: l0, f0, r0"),
    "grey image": (lambda given: set_image(given, "cam_l0", image=zeros(270, 480)), rf"{CAMERA}.*\[270, 480\]"),
    "image with transparency": (lambda given: set_image(given, "cam_l0", image=zeros(270, 480, 4)), rf"{CAMERA}.*480, 4\]"),
    "image of floats": (lambda given: set_image(given, "cam_l0", image=zeros(270, 480, 3, dtype=float)), rf"{CAMERA}.*uint8"),
    "image that is no array": (lambda given: set_image(given, "cam_l0", image="blob"), rf"{CAMERA}.*uint8"),
    "one image of another size": (
        lambda given: set_image(given, "cam_l0", image=zeros(540, 960, 3)),
        r"one size, got l0 960 x 540, f0 480 x 270",
    ),
    "images of an odd size": (
        lambda given: set_image(given, "cam_l0", "cam_f0", "cam_r0", image=zeros(900, 1600, 3)),
        r"1600 x 900 cannot be cropped.*Resize",
    ),
    "empty image": (lambda given: set_image(given, "cam_l0", "cam_f0", "cam_r0", image=zeros(0, 0, 3)), "0 x 0"),
    "camera without calibration": (
        lambda given: setattr(given.cameras[-1].cam_l0, "sensor2lidar_rotation", None),
        rf"{CAMERA}",
    ),
    "no sweep": (lambda given: set_points(given, None), "no LiDAR sweep"),
    "empty sweep": (lambda given: set_points(given, zeros(6, 0, dtype=np.float32)), "no points at all"),
    "sweep of another layout": (lambda given: set_points(given, zeros(2, 50, dtype=np.float32)), r"\[6, N\].*\[2, 50\]"),
    "sweep lying down": (lambda given: set_points(given, zeros(50, 6, dtype=np.float32)), r"\[6, N\].*\[50, 6\]"),
    "point that is no number": (lambda given: with_bad_point(given, np.nan), "1 of 1500 values are NaN or infinite"),
    "point at infinity": (lambda given: with_bad_point(given, np.inf), "1 of 1500 values are NaN or infinite"),
    "velocity that is no number": (lambda given: set_status(given, ego_velocity=[np.nan, 0]), "velocity must be finite"),
    "acceleration that is no number": (lambda given: set_status(given, ego_acceleration=[0, np.inf]), "acceleration must be"),
    "velocity of three axes": (lambda given: set_status(given, ego_velocity=[1, 0, 0]), r"velocity.*\[3\]"),
    "pose in the world": (lambda given: set_status(given, ego_pose=[331254, 4690073, 1]), "must be the origin"),
    "two commands": (lambda given: set_status(given, driving_command=[1, 0, 1, 0]), r"one-hot.*\[1\.0, 0\.0, 1\.0, 0\.0\]"),
    "command of three": (lambda given: set_status(given, driving_command=[1, 0, 0]), "one-hot"),
    "no ego at all": (lambda given: given.ego_statuses.clear(), "no ego status"),
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest) -> tuple[AgentInput, str]:
    """An input that cannot be planned with, and what the message must say."""
    given = stand_ins.agent_input(7)
    breaking, message = BROKEN[request.param]
    breaking(given)
    return given, message


def test_a_broken_scene_is_named_and_not_planned(
    agent: Any, broken: tuple[AgentInput, str], caplog: pytest.LogCaptureFixture
) -> None:
    given, message = broken
    with pytest.raises(NotPlannedError, match=rf"Scene 'abc' was not planned: .*{message}") as caught:
        agent.compute_trajectory(given, stand_ins.scene("abc"))
    # Evaluation catches exceptions: what is logged stays, whatever it does with them.
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [str(caught.value)]
    for camera in given.cameras:
        camera.cam_f0.camera_path = None
    given.lidars[-1].lidar_path = None
    with pytest.raises(NotPlannedError, match=r"Scene without a name \(velocity and acceleration now: .*\) was not planned: "):
        agent.compute_trajectory(given)


def test_a_broken_scene_changes_no_other(agent: Any) -> None:
    expected = agent.compute_trajectory(stand_ins.agent_input(3)).poses
    for breaking, _ in BROKEN.values():
        given = stand_ins.agent_input(7)
        breaking(given)
        with pytest.raises(NotPlannedError):
            agent.compute_trajectory(given)
    assert np.array_equal(agent.compute_trajectory(stand_ins.agent_input(3)).poses, expected)


def test_no_broken_scene_gets_features(navsim_agent: ModuleType, broken: tuple[AgentInput, str]) -> None:
    (builder,) = navsim_agent.DiffusionDriveAgent(preset="base").get_feature_builders()
    with pytest.raises(InputError, match=r"^Scene (of 'drive/|without a name)"):
        builder.compute_features(broken[0])


def test_a_network_that_answers_nonsense_gives_no_trajectory(navsim_agent: ModuleType, tiny_checkpoint: Path) -> None:
    agent = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint))
    agent.network = agent.source.network()
    with torch.no_grad():
        next(agent.network.decoder.parameters()).fill_(torch.nan)
    agent.initialize()
    with pytest.raises(NotPlannedError, match=r"Scene 'abc' was not planned: .*not finite"):
        agent.compute_trajectory(stand_ins.agent_input(), stand_ins.scene("abc"))


CHECKPOINTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "absent": (lambda path: None, "does not exist.*nano"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read as a checkpoint"),
    "a web page": (lambda path: path.write_bytes(b"<!DOCTYPE html><html>not found</html>"), "cannot be read as a checkpoint"),
    "an array": (lambda path: np.save(path.open("wb"), np.zeros((20, 8, 2))), "cannot be read as a checkpoint"),
    "a tensor": (lambda path: torch.save(torch.zeros(3), path), "has no 'state_dict'"),
    "code": (lambda path: torch.save({"state_dict": SimpleNamespace(a=1)}, path), "checkpoint of plain tensors"),
    "of another model": (lambda path: torch.save({"state_dict": {"model.w": torch.zeros(3)}}, path), "neither the public"),
    "of part of the public model": (
        lambda path: torch.save({"state_dict": {"agent._transfuser_model.bev_proj.0.bias": torch.zeros(256)}}, path),
        "missing",
    ),
    "a folder of something": (lambda path: path.mkdir(), "config.json"),
}


@pytest.fixture(scope="module")
def any_devkit() -> ModuleType:
    """For what no version has a part in."""
    return stand_ins.imported_agent(stand_ins.V2)


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(any_devkit: ModuleType, tmp_path: Path, kind: str) -> None:
    writing, message = CHECKPOINTS[kind]
    path = tmp_path / "checkpoint"
    writing(path)
    with pytest.raises(InputError, match=message) as caught:
        any_devkit.DiffusionDriveAgent(checkpoint_path=str(path)).initialize()
    assert str(path) in str(caught.value)


def test_half_a_checkpoint_is_refused(navsim_agent: ModuleType, agent: Any, tmp_path: Path) -> None:
    module = torch.nn.Module()
    module.agent = agent
    whole = tmp_path / "whole.ckpt"
    torch.save({"state_dict": module.state_dict()}, whole)
    half = tmp_path / "half.ckpt"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(InputError, match=r"half\.ckpt' cannot be read"):
        navsim_agent.DiffusionDriveAgent(checkpoint_path=str(half))


def test_a_checkpoint_of_another_network_than_the_config_is_refused(navsim_agent: ModuleType, tiny_checkpoint: Path) -> None:
    with pytest.raises(InputError, match=r"holds another network .*\d+ values differ.*agent\.preset=null"):
        navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint), preset="base")
