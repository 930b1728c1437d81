"""Simple planners: straight on, along the arc, blind network, human."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from diffdrive.baselines import (
    Baseline,
    ConstantTurnRate,
    ConstantVelocity,
    EgoStatusMLP,
    EgoStatusMLPConfig,
    Human,
    SceneBaseline,
)
from diffdrive.baselines.ego_status_mlp import CONFIG_NAME, WEIGHTS_NAME
from diffdrive.contracts import InputError
from diffdrive.scene import Agents, DrivingCommand, EgoState, Future, Observation, Scene, Trajectory
from diffdrive.tensors import TargetLayout

TIMES = np.arange(1, 9) * 0.5
SMALL = EgoStatusMLPConfig(hidden_size=16, targets=TargetLayout(num_poses=5, interval_s=0.4))


def moving(velocity: tuple[float, float], turn_rate: float = 0.0, gap_s: float = 0.5) -> Observation:
    """On a circle (or a straight line): one earlier state and the present."""
    speed = float(np.copysign(np.hypot(*velocity), velocity[0]))
    angle, arc = -turn_rate * gap_s, -speed * gap_s
    chord = arc * np.sinc(angle / (2 * np.pi))
    past = np.array([chord * np.cos(angle / 2), chord * np.sin(angle / 2), angle])
    states = [
        EgoState(timestamp_us=time, pose=pose, velocity=np.array(velocity), acceleration=np.array([0.3, 0.0]))
        for time, pose in ((0, past), (round(gap_s * 1e6), np.zeros(3)))
    ]
    return Observation(ego_history=tuple(states), command=DrivingCommand.STRAIGHT)


# --- constant velocity ----------------------------------------------------------------------------------------------


def test_constant_velocity_goes_straight_at_the_present_speed():
    plan = ConstantVelocity().plan(moving((3.0, 4.0), turn_rate=0.2))
    assert plan.interval_s == 0.5
    assert np.allclose(plan.poses, np.stack([5 * TIMES, 0 * TIMES, 0 * TIMES], axis=1))


def test_constant_velocity_reverses_and_stands():
    assert np.allclose(ConstantVelocity().plan(moving((-2.0, 0.0))).poses[:, 0], -2 * TIMES)
    assert not ConstantVelocity().plan(moving((0.0, 0.0))).poses.any()


# --- constant turn rate ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(speed=st.floats(0.5, 30) | st.floats(-5, -0.5), rate=st.floats(-0.7, 0.7), gap=st.sampled_from([0.1, 0.5, 1.0]))
def test_constant_turn_rate_stays_on_the_circle_that_the_car_is_on(speed, rate, gap):
    plan = ConstantTurnRate().plan(moving((speed, 0.0), rate, gap))
    assert np.allclose(plan.poses[:, 2], np.arctan2(np.sin(rate * TIMES), np.cos(rate * TIMES)), atol=1e-6)
    if abs(rate) > 1e-3:
        radius = speed / rate
        centre = np.array([0.0, radius])
        assert np.allclose(np.linalg.norm(plan.poses[:, :2] - centre, axis=1), abs(radius), atol=1e-4 * abs(radius))
    # Headings are along the path: integrating the velocity gives the positions.
    fine = np.linspace(0, TIMES[-1], 4001)
    step = fine[1]
    middle = rate * (fine[:-1] + step / 2)
    end = speed * step * np.array([np.cos(middle).sum(), np.sin(middle).sum()])
    assert np.allclose(plan.poses[-1, :2], end, atol=1e-3)


def test_without_a_turn_both_are_equal():
    seen = moving((7.0, 0.0))
    assert np.allclose(ConstantTurnRate().plan(seen).poses, ConstantVelocity().plan(seen).poses)


def test_a_jittering_heading_at_a_standstill_is_no_turn():
    assert not ConstantTurnRate().plan(moving((0.0, 0.0), turn_rate=0.3)).poses.any()
    crawl = ConstantTurnRate().plan(moving((0.05, 0.0), turn_rate=0.3)).poses
    assert abs(crawl[-1, 2]) < 0.15


def test_left_is_positive():
    assert ConstantTurnRate().plan(moving((5.0, 0.0), turn_rate=0.2)).poses[-1, 1] > 1


def test_one_state_has_no_turn_rate():
    alone = Observation(ego_history=moving((5.0, 0.0)).ego_history[-1:])
    with pytest.raises(InputError, match="Load the scene with history"):
        ConstantTurnRate().plan(alone)


# --- ego-status MLP -------------------------------------------------------------------------------------------------


def test_the_network_has_the_public_sizes_by_default():
    network = EgoStatusMLP()
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    assert shapes == [(512, 8), (512, 512), (512, 512), (24, 512)]
    assert network(torch.zeros(3, 8)).shape == (3, 8, 3)
    with pytest.raises(InputError, match="B 8"):
        network(torch.zeros(3, 7))


def test_its_plan_depends_on_command_velocity_and_acceleration_only():
    torch.manual_seed(0)
    network = EgoStatusMLP(SMALL)
    seen = moving((5.0, 0.0))
    plan = network.plan(seen)
    assert (plan.num_poses, plan.interval_s) == (5, 0.4)
    alone = Observation(ego_history=seen.ego_history[-1:], command=seen.command)
    assert np.array_equal(network.plan(alone).poses, plan.poses)
    turned = Observation(ego_history=seen.ego_history, command=DrivingCommand.LEFT)
    assert not np.allclose(network.plan(turned).poses, plan.poses)
    assert not np.allclose(network.plan(moving((6.0, 0.0))).poses, plan.poses)


def test_what_was_saved_plans_the_same(tmp_path):
    torch.manual_seed(1)
    network = EgoStatusMLP(SMALL)
    network.save(tmp_path / "mlp")
    back = EgoStatusMLP.load(tmp_path / "mlp")
    assert back.config == SMALL and not back.training
    assert np.array_equal(back.plan(moving((4.0, 0.1))).poses, network.plan(moving((4.0, 0.1))).poses)
    assert sorted(path.name for path in (tmp_path / "mlp").iterdir()) == sorted([CONFIG_NAME, WEIGHTS_NAME])


def _drop_a_weight(folder):
    weights = load_file(folder / WEIGHTS_NAME)
    weights.pop("layers.0.bias")
    save_file(weights, folder / WEIGHTS_NAME)


def _change_sizes(folder, **changes):
    text = json.loads((folder / CONFIG_NAME).read_text())
    (folder / CONFIG_NAME).write_text(json.dumps(text | changes))


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda folder: (folder / WEIGHTS_NAME).unlink(), "does not exist"),
        (lambda folder: (folder / CONFIG_NAME).unlink(), "does not exist"),
        (lambda folder: (folder / WEIGHTS_NAME).write_bytes(b"short"), "cannot be read"),
        (lambda folder: (folder / CONFIG_NAME).write_text("{"), "cannot be read"),
        (lambda folder: (folder / CONFIG_NAME).write_text("[]"), "mapping"),
        (_drop_a_weight, "do not fit"),
        (lambda folder: _change_sizes(folder, hidden_size=17), "do not fit"),
        (lambda folder: _change_sizes(folder, hiden_size=16), "Did you mean 'hidden_size'"),
    ],
)
def test_a_damaged_network_is_one_clear_error(tmp_path, damage, words):
    EgoStatusMLP(SMALL).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=words):
        EgoStatusMLP.load(tmp_path)


def test_it_can_learn():
    torch.manual_seed(0)
    network = EgoStatusMLP(EgoStatusMLPConfig(hidden_size=32, targets=TargetLayout(num_poses=2)))
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    status = torch.rand(64, 8)
    wanted = status[:, 4, None, None] * torch.tensor([[0.5, 0, 0], [1.0, 0, 0]])
    losses = []
    for _ in range(150):
        loss = (network(status) - wanted).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.15 * losses[0]


# --- human and protocols --------------------------------------------------------------------------------------------


def scene(future: Future | None) -> Scene:
    return Scene(
        token="t",
        log_name="log",
        location="town",
        world_from_ego=np.zeros(3),
        observation=moving((5.0, 0.0)),
        agents=Agents.none(),
        future=future,
    )


def test_the_human_drives_what_was_driven():
    times = np.arange(1, 41) * 0.1
    poses = np.stack([5 * times, times**2 / 100, 0 * times], axis=1)
    future = Future(ego=Trajectory(poses, 0.1), agents=(Agents.none(),) * 40)
    plan = Human().plan_scene(scene(future))
    assert plan.interval_s == 0.5 and np.array_equal(plan.poses, poses[4::5])
    with pytest.raises(InputError, match="no future"):
        Human().plan_scene(scene(None))


def test_who_needs_the_future_cannot_pass_for_a_planner():
    for planner in (ConstantVelocity(), ConstantTurnRate(), EgoStatusMLP(SMALL)):
        assert isinstance(planner, Baseline) and not isinstance(planner, SceneBaseline)
    assert isinstance(Human(), SceneBaseline) and not isinstance(Human(), Baseline)
