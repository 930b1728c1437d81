"""The agent beside stand-ins for both devkits: what it asks for, what it answers, and what it refuses."""

from __future__ import annotations

import copy
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import navsim_stand_ins as stand_ins
import numpy as np
import pytest
import torch
from diffdrive_agents.inference import NotPlannedError

from diffdrive.contracts import InputError
from diffdrive.tensors import InputLayout


def test_the_base_class_gets_what_it_takes(navsim_agent: ModuleType) -> None:
    agent = navsim_agent.DiffusionDriveAgent(preset="base", requires_scene=True)
    assert agent.requires_scene is True
    assert (agent.name(), agent.sampling.num_poses, agent.sampling.interval_length) == ("DiffusionDriveAgent", 8, 0.5)
    assert getattr(agent, "_trajectory_sampling", agent.sampling) is agent.sampling


def test_an_unknown_devkit_is_named() -> None:
    module = stand_ins.imported_agent("v9")
    with pytest.raises(InputError, match=r"clairvoyant, requires_scene\), known are v1.1: .*; v2.2: .*Install NAVSIM"):
        module.DiffusionDriveAgent(preset="base")


def test_only_the_sensors_in_use_are_loaded(navsim_agent: ModuleType) -> None:
    config = navsim_agent.DiffusionDriveAgent(preset="base").get_sensor_config()
    loaded = {name: frames for name, frames in vars(config).items() if frames}
    assert loaded == {"cam_f0": [3], "cam_l0": [3], "cam_r0": [3], "lidar_pc": [3]}


def test_without_lidar_none_is_loaded_and_whatever_is_there_is_not_seen(
    navsim_agent: ModuleType, tiny_checkpoint: Path
) -> None:
    agent = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint), use_lidar=False)
    assert not agent.get_sensor_config().lidar_pc
    agent.initialize()
    bare, laden = stand_ins.agent_input(), stand_ins.agent_input()
    bare.lidars[-1] = stand_ins.Lidar()
    answers = [agent.compute_trajectory(each).poses for each in (bare, laden)]
    assert np.array_equal(*answers)
    (builder,) = agent.get_feature_builders()
    features = builder.compute_features(bare)
    assert not features["lidar_feature"].any() and features["camera_feature"].any()
    assert builder.get_unique_name().endswith("_without_lidar")


def test_a_trajectory_is_single_precision_of_the_asked_sampling(agent: Any) -> None:
    trajectory = agent.compute_trajectory(stand_ins.agent_input())
    assert trajectory.poses.shape == (8, 3) and trajectory.poses.dtype == np.float32
    assert trajectory.trajectory_sampling is agent.sampling


def test_a_trajectory_does_not_depend_on_the_scenes_before(agent: Any, navsim_agent: ModuleType, tiny_checkpoint: Path) -> None:
    other = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint))
    other.initialize()
    seeds = [0, 1, 2]
    forward = {seed: agent.compute_trajectory(stand_ins.agent_input(seed)).poses for seed in seeds}
    backward = {seed: other.compute_trajectory(stand_ins.agent_input(seed)).poses for seed in reversed(seeds)}
    assert all(np.array_equal(forward[seed], backward[seed]) for seed in seeds)
    assert not np.array_equal(forward[0], forward[1])


def test_every_proposal_and_score_can_be_had(agent: Any) -> None:
    plan = agent.compute_plan(stand_ins.agent_input())
    assert plan.proposals.shape == (4, 8, 3) and plan.scores.sum() == pytest.approx(1.0)
    assert np.array_equal(plan.trajectory.poses, plan.proposals[plan.scores.argmax()])


def test_with_a_scene_the_token_is_the_key_of_the_noise(agent: Any) -> None:
    given = stand_ins.agent_input()
    one, same, other = (agent.compute_trajectory(given, stand_ins.scene(name)).poses for name in ("a", "a", "b"))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_scene_that_is_not_planned_raises_with_its_name(agent: Any, caplog: pytest.LogCaptureFixture) -> None:
    given = stand_ins.agent_input(7)
    given.lidars[-1] = stand_ins.Lidar()
    with pytest.raises(
        NotPlannedError, match=r"Scene 'abc' was not planned: There is no LiDAR sweep\. .*agent\.use_lidar=false"
    ):
        agent.compute_trajectory(given, stand_ins.scene("abc"))
    with pytest.raises(NotPlannedError, match=re.escape("Scene of 'drive/cam_f0/7.jpg' was not planned")):
        agent.compute_trajectory(given)
    assert caplog.text.count("was not planned") == 2
    assert "comfortable stop" not in caplog.text


def test_without_weights_nothing_is_planned_or_trained(navsim_agent: ModuleType, tiny_checkpoint: Path) -> None:
    agent = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint))
    assert not list(agent.parameters())
    with pytest.raises(InputError, match="initialize"):
        agent.compute_trajectory(stand_ins.agent_input())
    for call in (lambda: agent.forward({}), agent.get_optimizers):
        with pytest.raises(InputError, match="get_training_callbacks"):
            call()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda agent: pickle.loads(pickle.dumps(agent))])
def test_copies_plan_the_same_once_initialised(copied: Any, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = stand_ins.imported_agent(stand_ins.V2)
    # Pickle finds classes by name.
    monkeypatch.setitem(sys.modules, module.__name__, module)
    agent = module.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint))
    agent.initialize()
    twin = copied(agent)
    with pytest.raises(InputError, match="initialize"):
        twin.compute_trajectory(stand_ins.agent_input())
    twin.initialize()
    expected, answered = (each.compute_trajectory(stand_ins.agent_input()).poses for each in (agent, twin))
    assert np.array_equal(expected, answered)


def test_another_sampling_is_refused(navsim_agent: ModuleType) -> None:
    sampling = stand_ins.TrajectorySampling(time_horizon=5, interval_length=0.5)
    with pytest.raises(InputError, match=r"plans 8 poses every 0\.5 s, .* 10 every 0\.5 s.*time_horizon=4"):
        navsim_agent.DiffusionDriveAgent(preset="base", trajectory_sampling=sampling)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"noise": "white"}, "zero, seeded, torch"),
        ({"jumps": "long"}, "auto, reference, .*ddim"),
        ({"engine": "eager:fp8"}, "fp32, bf16, fp16"),
        ({"preset": "bass"}, "Did you mean 'base'"),
        ({"preset": None}, "checkpoint_path, or a preset"),
        ({"optimizer": {"learning_rate": 1.0}}, "learning_rate"),
        ({"optimizer": {"ema_decay": 0.9}}, "no average of weights"),
        ({"epochs": 0}, "at least 1"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(navsim_agent: ModuleType, argument: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        navsim_agent.DiffusionDriveAgent(**{"preset": "nano", **argument})


def test_builders_name_the_cache_and_the_scene(navsim_agent: ModuleType) -> None:
    agent = navsim_agent.DiffusionDriveAgent(preset="base")
    (features,), (targets,) = agent.get_feature_builders(), agent.get_target_builders()
    assert (features.get_unique_name(), targets.get_unique_name()) == ("transfuser_feature", "transfuser_target")
    built = features.compute_features(stand_ins.agent_input())
    assert built["camera_feature"].shape == (3, InputLayout().camera_height, InputLayout().camera_width)
    given = stand_ins.agent_input()
    given.cameras[-1].cam_l0 = stand_ins.Camera()
    with pytest.raises(InputError, match=r"Scene of '.*': .* l0 is missing"):
        features.compute_features(given)


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_step_of_either_lightning_module(navsim_agent: ModuleType, tiny_checkpoint: Path, batch: Any, as_dict: bool) -> None:
    features, targets = batch
    agent = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tiny_checkpoint), loss_as_dict=as_dict)
    agent.get_training_callbacks()
    optimizer = agent.get_optimizers()["optimizer"]
    assert all(module.training for module in agent.modules())
    torch.manual_seed(0)
    predictions = agent.forward(features, targets) if as_dict else agent.forward(features)
    loss = agent.compute_loss(features, targets, predictions)
    if as_dict:
        terms = {name: value for name, value in loss.items() if name != "loss"}
        assert torch.isclose(loss["loss"], torch.stack(list(terms.values())).sum())
        loss = loss["loss"]
    loss.backward()
    before = {name: value.clone() for name, value in agent.network.decoder.state_dict().items()}
    optimizer.step()
    assert any(not torch.equal(value, before[name]) for name, value in agent.network.decoder.state_dict().items())


def test_evaluation_answers_every_proposal(agent: Any, batch: Any) -> None:
    features, targets = batch
    assert not any(module.training for module in agent.modules())
    with torch.no_grad():
        one, two = agent.forward(features), agent.forward(features)
        first = agent.forward({name: value[:1] for name, value in features.items()})
    assert one["proposals"].shape == (3, 4, 8, 3) and one["scores"].shape == (3, 4)
    assert torch.equal(one["trajectory"], two["trajectory"])
    assert torch.allclose(first["trajectory"], one["trajectory"][:1], atol=1e-4)
    assert torch.isfinite(agent.compute_loss(features, targets, one))


def test_a_lightning_file_of_the_agent_can_be_planned_with(
    tiny_values: dict[str, Any], tiny_anchors: Path, tmp_path: Path
) -> None:
    navsim_agent = stand_ins.imported_agent(stand_ins.V2)
    arguments = {"preset": "nano", "planner": tiny_values, "anchors": str(tiny_anchors)}
    trained = navsim_agent.DiffusionDriveAgent(**arguments, seed=5)
    trained.initialize()
    # As Lightning writes it: the agent is the module's attribute "agent".
    module = torch.nn.Module()
    module.agent = trained
    torch.save({"state_dict": module.state_dict()}, tmp_path / "last.ckpt")
    agent = navsim_agent.DiffusionDriveAgent(checkpoint_path=str(tmp_path / "last.ckpt"), seed=5)
    agent.initialize()
    expected, answered = (each.compute_trajectory(stand_ins.agent_input()).poses for each in (trained, agent))
    assert np.array_equal(expected, answered)
    other = navsim_agent.DiffusionDriveAgent(preset="nano", planner={**tiny_values, "dims": 64}, anchors=str(tiny_anchors))
    other.get_training_callbacks()
    with pytest.raises((InputError, RuntimeError), match=r"another network|size mismatch"):
        other.load_state_dict(trained.state_dict())
