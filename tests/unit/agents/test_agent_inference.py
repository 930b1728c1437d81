"""Planning scene by scene: which engine, which noise, and when it is an error."""

from __future__ import annotations

import copy
import logging

import navsim_stand_ins as stand_ins
import numpy as np
import pytest
import torch
from diffdrive_agents.inference import InferenceOptions, NotPlannedError, ScenePlanner, name_of
from diffdrive_agents.observation import observation_of
from scrambled_planner import scrambled
from tiny_variants import tiny_variant

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.model import PlannerModel
from diffdrive.runtime import Planner

OBSERVATION = observation_of(stand_ins.agent_input())


def options(**values: str) -> InferenceOptions:
    return InferenceOptions(**{"device": "cpu", **values})  # type: ignore[arg-type]


def test_auto_is_the_eager_engine_on_a_processor(tiny_network: PlannerModel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ScenePlanner(tiny_network, options())
    assert "Planning with eager: inference network, fp32, cpu." in caplog.text


def test_zero_noise_is_no_noise(tiny_network: PlannerModel) -> None:
    plan = ScenePlanner(tiny_network, options(noise="zero", engine="plain")).plan(OBSERVATION)
    inputs = build_inputs(OBSERVATION, tiny_network.config.inputs)
    with torch.no_grad():
        expected = tiny_network(inputs, torch.zeros(1, *tiny_network.config.noise_shape))
    assert np.array_equal(plan.proposals, expected.poses[0].double().numpy())


def test_the_seed_and_the_jumps_matter(tiny_network: PlannerModel) -> None:
    plans = [
        ScenePlanner(tiny_network, each).plan(OBSERVATION).proposals
        for each in (options(), InferenceOptions(device="cpu", seed=1), options(jumps="ddim"), options(noise="zero"))
    ]
    assert all(not np.array_equal(plans[i], plans[j]) for i in range(4) for j in range(i))


@pytest.mark.parametrize("name", ["regression", "vanilla", "truncated", "features handed on"])
def test_every_kind_of_network_plans_with_its_own_jumps(name: str) -> None:
    network = scrambled(tiny_variant(name))
    plan = ScenePlanner(network, options(noise="zero")).plan(OBSERVATION)
    inputs = build_inputs(OBSERVATION, network.config.inputs)
    expected = network(inputs, torch.zeros(1, *network.config.noise_shape))
    np.testing.assert_allclose(plan.proposals, expected.poses[0].numpy(), atol=5e-4)


def test_torch_noise_follows_the_order_of_scenes(tiny_network: PlannerModel) -> None:
    planner = ScenePlanner(tiny_network, options(noise="torch"))
    torch.manual_seed(0)
    first, second = planner.plan(OBSERVATION).proposals, planner.plan(OBSERVATION).proposals
    torch.manual_seed(0)
    again = planner.plan(OBSERVATION).proposals
    assert np.array_equal(first, again) and not np.array_equal(first, second)


def test_making_a_planner_draws_no_random_numbers(tiny_network: PlannerModel) -> None:
    # With torch noise the first scene must get the first draw.
    before = torch.random.get_rng_state()
    ScenePlanner(tiny_network, options(noise="torch"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_network_stays_as_it_is(tiny_network: PlannerModel) -> None:
    network = copy.deepcopy(tiny_network).train()
    ScenePlanner(network, options(engine="plain"))
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())


def test_the_comfortable_stop_is_never_an_answer(tiny_network: PlannerModel) -> None:
    network = copy.deepcopy(tiny_network)
    with torch.no_grad():
        next(network.decoder.parameters()).fill_(torch.nan)
    planner = ScenePlanner(network, options())
    with pytest.raises(NotPlannedError, match=r"^Scene 'abc' was not planned: The network answered with NaN .*finite\.$"):
        planner.plan(OBSERVATION, name="'abc'")


def test_an_engine_that_is_not_as_asked_is_told_once(
    tiny_network: PlannerModel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = ScenePlanner(tiny_network, options())
    monkeypatch.setattr(planner._planner.engine, "degraded", "There is no GPU.")
    assert isinstance(planner._planner, Planner)
    for _ in range(2):
        planner.plan(OBSERVATION)
    assert caplog.text.count("There is no GPU.") == 1


def test_an_unknown_engine_is_refused(tiny_network: PlannerModel) -> None:
    with pytest.raises(InputError, match="Did you mean 'eager'"):
        ScenePlanner(tiny_network, options(engine="eagre"))


def test_a_scene_is_called_by_the_best_name_there_is() -> None:
    given = stand_ins.agent_input(3)
    assert name_of(given, "abc") == "'abc'"
    assert name_of(given, None) == "of 'drive/MergedPointCloud/3.pcd'"
    given.lidars[-1] = None  # type: ignore[call-overload]
    assert name_of(given, None) == "of 'drive/cam_f0/3.jpg'"
    nameless = stand_ins.agent_input(3, paths=False)
    assert name_of(nameless, None) == "without a name (velocity and acceleration now: 6.300, 0.100, 0.200, -0.300)"
