"""Which parameters decay, which train slower, and what is said about names that no parameter has."""

from __future__ import annotations

import itertools

import pytest
import torch
from tiny_planner import TINY_PLANNER
from torch import nn

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, planner_config
from diffdrive.training.config import OptimizerConfig
from diffdrive.training.optim import build_optimizer, parameter_groups, set_rate


@pytest.fixture(scope="module")
def network() -> PlannerModel:
    config = planner_config("nano", TINY_PLANNER)
    return PlannerModel(config, torch.zeros(config.anchor_shape))


def rates_of(optimizer: torch.optim.Optimizer) -> dict[int, float]:
    return {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}


def test_only_weights_of_layers_decay(network: PlannerModel) -> None:
    decayed, free = parameter_groups(network, OptimizerConfig(weight_decay=0.3))
    assert (decayed.weight_decay, free.weight_decay) == (0.3, 0.0)
    layers = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)
    expected = {
        f"{name}.{own}".lstrip(".")
        for name, module in network.named_modules()
        if isinstance(module, layers)
        for own, parameter in module.named_parameters(recurse=False)
        if parameter.ndim > 1
    }
    assert set(decayed.parameters) == expected
    assert {"neck.queries.weight", "neck.token_position.weight", "backbone.fusion.0.position"} <= set(free.parameters)
    (everything,) = parameter_groups(network, OptimizerConfig(weight_decay=0.3, decay_all=True))
    assert set(everything.parameters) == {name for name, _ in network.named_parameters()}


def test_frozen_parameters_are_in_no_group() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    model[1].requires_grad_(False)
    assert [group.parameters for group in parameter_groups(model, OptimizerConfig())] == [("0.weight",), ("0.bias",)]


def test_the_longest_prefix_gives_the_rate(network: PlannerModel) -> None:
    multipliers = {"backbone": 0.5, "backbone.lidar_encoder": 0.1, "decoder": 2.0}
    config = OptimizerConfig(lr=1e-3, lr_multipliers=multipliers)
    optimizer = build_optimizer(network, config)
    rates = rates_of(optimizer)
    for name, parameter in network.named_parameters():
        share = 0.1 if name.startswith("backbone.lidar_encoder.") else multipliers.get(name.split(".")[0], 1.0)
        assert rates[id(parameter)] == pytest.approx(1e-3 * share), name
    told = set_rate(optimizer, 1e-4, config)
    assert told == pytest.approx({"rest": 1e-4, "backbone": 5e-5, "backbone.lidar_encoder": 1e-5, "decoder": 2e-4})
    assert set(rates_of(optimizer).values()) == set(told.values())


def test_the_rate_really_scales_the_step() -> None:
    model = nn.ModuleDict({"slow": nn.Linear(2, 2), "slower": nn.Linear(2, 2), "fast": nn.Linear(2, 2)})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    config = OptimizerConfig(lr=1e-3, weight_decay=0.0, lr_multipliers={"slow": 0.25})
    optimizer = build_optimizer(model, config)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = {name: float((before[name] - p).abs().mean().detach()) for name, p in model.named_parameters()}
    # Adam's first step is the rate itself. A prefix is whole words: "slower" is not slow.
    shares = {"slow": 0.25, "slower": 1.0, "fast": 1.0}
    for (name, share), kind in itertools.product(shares.items(), ("weight", "bias")):
        assert moved[f"{name}.{kind}"] == pytest.approx(1e-3 * share, rel=1e-3)


def test_declared_multipliers_may_be_ignored(network: PlannerModel) -> None:
    config = OptimizerConfig(lr=1e-3, lr_multipliers={"backbone.image_encoder": 0.5}, multipliers_apply=False)
    optimizer = build_optimizer(network, config)
    assert {group["name"] for group in optimizer.param_groups} == {"rest", "backbone.image_encoder"}
    assert set(rates_of(optimizer).values()) == {1e-3}


def test_names_that_no_parameter_has_are_refused(network: PlannerModel) -> None:
    with pytest.raises(InputError, match=r"'backbone.image_encoder'"):
        build_optimizer(network, OptimizerConfig(lr_multipliers={"image_encoder": 0.5}))
    with pytest.raises(InputError, match="Did you mean 'backbone"):
        build_optimizer(network, OptimizerConfig(lr_multipliers={"backbon": 0.5}))
    for broken in ({"backbone": -1.0}, {"backbone": {"image_encoder": 0.5}}, 0.5):
        with pytest.raises(InputError, match="command line"):
            OptimizerConfig(lr_multipliers=broken)  # type: ignore[arg-type]


def test_rates_are_stated_for_a_batch() -> None:
    config = OptimizerConfig(lr=6e-4, min_lr=1e-6, lr_batch_size=512)
    scaled = config.for_batch(64)
    assert (scaled.lr, scaled.min_lr, scaled.lr_batch_size) == (pytest.approx(7.5e-5), pytest.approx(1.25e-7), 64)
    assert scaled.for_batch(64) == scaled, "what a run writes down is read again for the same batch"
    assert OptimizerConfig(lr=6e-4).for_batch(64).lr == 6e-4
