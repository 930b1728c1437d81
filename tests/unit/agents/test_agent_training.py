"""The losses, the passes and the learning rate of an agent that the devkit trains."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffdrive_agents.features import inputs_of
from diffdrive_agents.targets import planner_targets
from diffdrive_agents.training import (
    Recipe,
    StepRate,
    callbacks_of,
    losses_of,
    optimizers_of,
    planning_pass,
    predictions_of,
    training_pass,
)

from diffdrive.contracts import InputError
from diffdrive.diffusion import REFERENCE
from diffdrive.model import PlannerModel
from diffdrive.runtime.noise import NoiseKind
from diffdrive.training.objectives import ObjectiveWeights, denoising_losses

Batch = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]


def test_a_training_pass_minimises_what_diffdrives_own_training_does(tiny_network: PlannerModel, batch: Batch) -> None:
    features, targets = batch
    torch.manual_seed(4)
    predictions = predictions_of(training_pass(tiny_network, features))
    answered = losses_of(tiny_network, targets, predictions, ObjectiveWeights())
    torch.manual_seed(4)
    noise = torch.randn(3, *tiny_network.config.noise_shape)
    levels = torch.randint(tiny_network.config.num_train_levels, (3,))
    expected = denoising_losses(tiny_network, inputs_of(features), planner_targets(targets), noise, levels)
    assert answered.terms.keys() == expected.terms.keys()
    for name, value in expected.terms.items():
        assert torch.equal(answered.terms[name], value), name


def test_predictions_have_the_public_names(tiny_network: PlannerModel, batch: Batch) -> None:
    predictions = predictions_of(planning_pass(tiny_network, batch[0], REFERENCE, NoiseKind.SEEDED, 0))
    shapes = {name: tuple(value.shape) for name, value in predictions.items() if isinstance(value, torch.Tensor)}
    assert shapes == {
        "trajectory": (3, 8, 3),
        "proposals": (3, 4, 8, 3),
        "scores": (3, 4),
        "agent_states": (3, 6, 5),
        "agent_labels": (3, 6),
        "bev_semantic_map": (3, 7, 16, 32),
    }
    best = predictions["scores"].argmax(dim=1)
    assert torch.equal(predictions["trajectory"], predictions["proposals"][torch.arange(3), best])


def test_the_validation_loss_is_of_the_first_pass(tiny_network: PlannerModel, batch: Batch) -> None:
    features, targets = batch
    proposals = planning_pass(tiny_network, features, REFERENCE, NoiseKind.ZERO, 0)
    whole = losses_of(tiny_network, targets, predictions_of(proposals), ObjectiveWeights())
    second = copy.copy(proposals)
    object.__setattr__(second, "passes", proposals.passes[:1])
    assert len(proposals.passes) == 2
    assert torch.equal(whole.total, losses_of(tiny_network, targets, predictions_of(second), ObjectiveWeights()).total)


def test_torch_noise_is_one_draw_for_the_batch(tiny_network: PlannerModel, batch: Batch) -> None:
    torch.manual_seed(2)
    drawn = planning_pass(tiny_network, batch[0], REFERENCE, NoiseKind.TORCH, 0)
    torch.manual_seed(2)
    noise = torch.randn(3, *tiny_network.config.noise_shape)
    assert torch.equal(drawn.poses, tiny_network(inputs_of(batch[0]), noise, REFERENCE).poses)


def test_a_loss_of_another_agents_predictions_is_refused(tiny_network: PlannerModel, batch: Batch) -> None:
    with pytest.raises(InputError, match="own forward"):
        losses_of(tiny_network, batch[1], {"trajectory": torch.zeros(3, 8, 3)}, ObjectiveWeights())


def test_the_epochs_rate_is_the_published_one(tiny_network: PlannerModel) -> None:
    recipe = Recipe.of(100, {"lr": 6e-4, "min_lr": 1e-6, "schedule": "epoch", "warmup_epochs": 3}, None)
    made = optimizers_of(tiny_network, recipe)
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert made["lr_scheduler"]["interval"] == "epoch"
    assert rates[:4] == pytest.approx([2e-4, 4e-4, 6e-4, 6e-4])
    assert rates[51] == pytest.approx(1e-6 + 0.5 * (6e-4 - 1e-6) * (1 + torch.cos(torch.tensor(torch.pi * 48 / 97)).item()))
    assert rates[99] < 2e-6
    assert not callbacks_of(recipe)


def test_multipliers_apply_with_either_schedule(tiny_network: PlannerModel) -> None:
    values = {"lr": 1e-3, "min_lr": 0.0, "warmup_epochs": 2, "lr_multipliers": {"backbone.image_encoder": 0.5}}
    by_epoch = optimizers_of(tiny_network, Recipe.of(10, {**values, "schedule": "epoch"}, None))
    by_step = Recipe.of(10, {**values, "schedule": "step"}, None)
    stepped = optimizers_of(tiny_network, by_step)["optimizer"]
    trainer = SimpleNamespace(num_training_batches=2, accumulate_grad_batches=1, global_step=1, optimizers=[stepped])
    callbacks_of(by_step)[0].on_train_batch_start(trainer, SimpleNamespace(log=lambda *values: None), None, 1)
    for optimizer, rate in ((by_epoch["optimizer"], 5e-4), (stepped, 5e-4)):
        rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
        assert rates == pytest.approx({"rest": rate, "backbone.image_encoder": 0.5 * rate})


def test_the_steps_rate_follows_the_trainer() -> None:
    recipe = Recipe.of(2, {"lr": 1e-3, "min_lr": 0.0, "schedule": "step", "warmup_epochs": 1.0}, None)
    (callback,) = callbacks_of(recipe)
    assert isinstance(callback, StepRate)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    trainer = SimpleNamespace(num_training_batches=8, accumulate_grad_batches=2, global_step=0, optimizers=[optimizer])
    logged: list[Any] = []
    module = SimpleNamespace(log=lambda *values: logged.append(values))
    rates = []
    for step in range(8):
        trainer.global_step = step
        callback.on_train_batch_start(trainer, module, None, step)
        rates.append(optimizer.param_groups[0]["lr"])
    # Eight batches are four steps: a quarter, a half, ... and then down.
    assert rates[:5] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3])
    assert rates[5:] == sorted(rates[5:], reverse=True) and rates[7] < 2e-4
    assert logged[-1] == ("train/lr", rates[7])


@pytest.mark.parametrize("values", [{"ema_decay": 0.99}, {"gradient_clip_norm": 1.0}])
def test_what_the_devkits_trainer_owns_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"trainer\.params\.gradient_clip_val"):
        Recipe.of(10, values, None)


@pytest.mark.parametrize("values", [{"lr_batch_size": 512}, {"on_nan": "skip"}])
def test_what_needs_our_own_trainer_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="owns the batch size"):
        Recipe.of(10, values, None)
