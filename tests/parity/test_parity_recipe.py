"""``recipe: reference`` against recorded facts of the public training: rates, groups, decay, weights, gradients."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from diffdrive.model import PlannerModel, planner_config
from diffdrive.model.reference_format import reference_key
from diffdrive.tensors import PlannerInputs, PlannerTargets
from diffdrive.training.config import AugmentationConfig, OnNan, TrainingConfig, load_training_config
from diffdrive.training.objectives import ObjectiveWeights, denoising_losses
from diffdrive.training.optim import LearningRate, build_optimizer, parameter_groups, set_rate

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from golden_fill import golden_model
from parity_model import recorded_inputs

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "training" / "base_navsim_recipe.yaml"
RECORDED = Path(__file__).parent / "data" / "reference_a.npz"
NAVTRAIN_SCENES = 103_288

# Printed by the public scheduler, run for 100 epochs; as many digits as were written down.
PUBLIC_RATES = {0: "2e-4", 1: "4e-4", 2: "6e-4", 3: "6e-4", 4: "5.998e-4", 50: "3.15e-4", 99: "1.16e-6"}

# Of one step: what depends on which of several equally cheap matchings of agents rounding chose is left to test_parity_model.
BEFORE_THE_AGENTS = ("_trajectory_head.", "bev_proj.", "_bev_semantic_head.", "_backbone.up_conv", "_backbone.c5_conv")


@pytest.fixture(scope="module")
def recipe() -> TrainingConfig:
    return load_training_config(CONFIG)


@pytest.fixture(scope="module")
def recorded() -> Mapping[str, np.ndarray]:
    with np.load(RECORDED, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def model(recorded: Mapping[str, np.ndarray]) -> PlannerModel:
    return golden_model(torch.from_numpy(recorded["in/anchors"]), "a")


def test_the_rates_are_the_public_ones_to_the_digit(recipe: TrainingConfig) -> None:
    steps = NAVTRAIN_SCENES // recipe.global_batch_size
    assert (recipe.global_batch_size, steps, recipe.epochs) == (512, 201, 100)
    rate = LearningRate(config=recipe.resolved.optimizer, epochs=recipe.epochs, steps_per_epoch=steps)
    for epoch, text in PUBLIC_RATES.items():
        digits = len(text.split("e")[0].replace(".", ""))
        first, last = rate.at(epoch * steps), rate.at(epoch * steps + steps - 1)
        assert first == last, "one rate for a whole epoch"
        assert float(f"{first:.{digits - 1}e}") == float(text), epoch


def test_the_image_encoder_s_multiplier_is_declared_and_has_no_effect(recipe: TrainingConfig, model: PlannerModel) -> None:
    assert dict(recipe.optimizer.lr_multipliers) == {"backbone.image_encoder": 0.5}
    groups = {group.name: group for group in parameter_groups(model, recipe.optimizer)}
    declared = {reference_key(name) for name in groups["backbone.image_encoder"].parameters}
    # The public code's group is what has this word in its name.
    public = {key for key, _ in model_parameters(model) if "image_encoder" in key}
    assert declared == public and len(declared) == 108
    optimizer = build_optimizer(model, recipe.optimizer, fused=False)
    rates = set_rate(optimizer, 2e-4, recipe.optimizer)
    assert rates == {"rest": 2e-4, "backbone.image_encoder": 2e-4}


def model_parameters(model: PlannerModel) -> list[tuple[str, nn.Parameter]]:
    return [(reference_key(name), parameter) for name, parameter in model.named_parameters()]


def test_every_public_parameter_decays_and_steps_as_in_plain_adamw(
    recipe: TrainingConfig, model: PlannerModel, recorded: Mapping[str, np.ndarray]
) -> None:
    optimizer = build_optimizer(model, recipe.optimizer, fused=False)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    # The anchors have a recorded norm of zero: they are no parameter here, and got no gradient there.
    public = set(recorded["train/grad_names"].tolist()) - {"_trajectory_head.plan_anchor"}
    assert {key for key, parameter in model_parameters(model) if decays[id(parameter)] == 1e-4} == public
    for group in optimizer.param_groups:
        assert (group["betas"], group["eps"], group["amsgrad"]) == ((0.9, 0.999), 1e-8, False)


def test_nothing_else_touches_the_gradient_or_the_data(recipe: TrainingConfig) -> None:
    optimizer = recipe.optimizer
    assert (optimizer.gradient_clip_norm, optimizer.ema_decay, optimizer.lr_batch_size) == (None, None, None)
    assert optimizer.on_nan is OnNan.STOP
    assert recipe.augmentation == AugmentationConfig()
    assert (recipe.precision, recipe.accumulate, recipe.sync_batchnorm, recipe.seed) == ("16-mixed", 1, False, 0)
    assert (recipe.devices, recipe.data.batch_size) == (8, 64)
    assert recipe.planner.keys() == {"normalizer"}, "the network is the public one"
    assert recipe.initial.image_encoder is not None


def test_the_weights_of_the_losses_are_recorded(recipe: TrainingConfig) -> None:
    # test_parity_model compares every recorded loss and gradient norm under these weights.
    assert recipe.weights == ObjectiveWeights()
    assert planner_config(recipe.preset, {}) == planner_config("base")


@pytest.mark.slow
def test_a_step_has_the_recorded_gradients(
    recipe: TrainingConfig, model: PlannerModel, recorded: Mapping[str, np.ndarray]
) -> None:
    targets = PlannerTargets(
        trajectory=torch.from_numpy(recorded["tgt/trajectory"]),
        agent_states=torch.from_numpy(recorded["tgt/agent_states"]),
        agent_labels=torch.from_numpy(recorded["tgt/agent_labels"]),
        bev_semantic=torch.from_numpy(recorded["tgt/bev_semantic"]).long(),
    )
    inputs: PlannerInputs = recorded_inputs(dict(recorded))
    noise, levels = torch.from_numpy(recorded["in/noise"]), torch.from_numpy(recorded["train/levels"])
    losses = denoising_losses(model.eval(), inputs, targets, noise, levels, recipe.weights)
    public = dict(zip(recorded["train/loss_names"].tolist(), recorded["train/loss_values"].tolist(), strict=True))
    layers = [value.item() for name, value in losses.terms.items() if name.startswith("trajectory_")]
    assert sum(layers) == pytest.approx(public["trajectory_loss"], rel=1e-5)
    for name in ("agent_class", "bev_semantic"):
        assert losses.terms[name].item() == pytest.approx(public[f"{name}_loss"], rel=1e-5), name
    losses.total.backward()
    norms = {key: float(p.grad.double().norm()) for key, p in model_parameters(model) if p.grad is not None}
    expected = dict(zip(recorded["train/grad_names"].tolist(), recorded["train/grad_norms"].tolist(), strict=True))
    compared = [key for key in norms if key.startswith(BEFORE_THE_AGENTS)]
    assert len(compared) == 108
    for key in compared:
        assert norms[key] == pytest.approx(expected[key], rel=1e-3, abs=1e-5), key
    before = {key: parameter.detach().clone() for key, parameter in model_parameters(model)}
    optimizer = build_optimizer(model, recipe.optimizer, fused=False)
    set_rate(optimizer, 2e-4, recipe.optimizer)
    optimizer.step()
    # Adam's first step is the rate in the gradient's direction, and decay shrinks what was there by rate times decay.
    for key, parameter in model_parameters(model):
        large = parameter.grad.abs() > 1e-3  # type: ignore[union-attr]
        wanted = before[key] * (1 - 2e-4 * 1e-4) - 2e-4 * parameter.grad.sign()  # type: ignore[union-attr]
        torch.testing.assert_close(parameter[large], wanted[large], rtol=0, atol=1e-7, msg=key)
