"""The losses of every variant, and a training step with each."""

from __future__ import annotations

import pytest
import torch
from scrambled_planner import request
from tiny_targets import tiny_targets
from tiny_variants import TINY_VARIANTS, tiny_variant

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.tensors import LayerProposals
from diffdrive.training.objectives import (
    ObjectiveWeights,
    denoising_losses,
    noisy_points,
    trajectory_losses,
)

WEIGHTS = ObjectiveWeights()


def _model(name: str) -> PlannerModel:
    config = tiny_variant(name)
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(0)
    return PlannerModel(config, 3 * torch.randn(config.anchor_shape, generator=generator).cumsum(dim=1))


@pytest.mark.parametrize("name", list(TINY_VARIANTS))
def test_every_weight_of_a_variant_learns(name: str) -> None:
    model = _model(name)
    inputs, noise = request(model.config, 2)
    levels = torch.tensor([0, model.config.num_train_levels - 1])
    losses = denoising_losses(model, inputs, tiny_targets(model.config, 2), noise, levels, WEIGHTS)
    layers = [term for term in losses.terms if term.startswith("trajectory")]
    assert len(layers) == (model.config.decoder_layers if hasattr(model.decoder, "layers") else 1)
    losses.total.backward()
    without = {key for key, value in model.named_parameters() if value.requires_grad and value.grad is None}
    assert not without
    held = {key.split(".")[1] for key, value in model.named_parameters() if not value.requires_grad}
    assert held == (set() if model.config.reads_bev else {"bev_projection", "bev_norm"})


@pytest.mark.parametrize("name", ["regression", "vanilla", "truncated", "features handed on"])
def test_a_few_steps_lower_the_pose_loss(name: str) -> None:
    model = _model(name).eval()
    inputs, noise = request(model.config, 2)
    levels, driven = torch.tensor([0, 5]), tiny_targets(model.config, 2).trajectory
    with torch.no_grad():
        features = model.encode(inputs)
    points = noisy_points(model, noise, levels, driven)
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=1e-2)
    seen = []
    for _ in range(20):
        losses = trajectory_losses(model.decode(features, points, levels), driven, model.matched_anchors, WEIGHTS)
        total = torch.stack(list(losses.values())).sum()
        seen.append(total.item())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert seen[-1] < 0.7 * seen[0]


def test_without_anchors_every_proposal_imitates_and_none_is_scored() -> None:
    trajectory = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(1))
    poses = trajectory[:, None].repeat(1, 5, 1, 1)
    poses[:, 4] += 0.5
    logits = torch.zeros(2, 5, requires_grad=True)
    terms = trajectory_losses((LayerProposals(poses, logits),), trajectory, None, WEIGHTS)
    assert terms["trajectory_0"].item() == pytest.approx(12 * 8 * 0.5 / 5, rel=1e-5)
    assert not terms["trajectory_0"].requires_grad


def test_pure_noise_learns_from_the_noised_trajectory_of_its_own_scene() -> None:
    model = _model("vanilla")
    driven = torch.zeros(2, 8, 3)
    driven[1, :, :2] = 20.0
    noise = torch.zeros(2, *model.config.noise_shape)
    points = noisy_points(model, noise, torch.tensor([0, 0]), driven)
    torch.testing.assert_close(points[1], torch.full_like(points[1], 20.0), rtol=0, atol=0.02)
    gone = noisy_points(model, noise, torch.tensor([999, 999]), driven)
    middle = model.config.normalizer.denormalize(torch.zeros(2))
    assert (gone - middle).abs().max() < 0.1 * (driven[:, None, :, :2] - middle).abs().max()
    far = noisy_points(model, torch.full_like(noise, 3.0), torch.tensor([999, 999]), driven)
    assert model.config.normalizer.normalize(far).min() > 2.0
    with pytest.raises(InputError, match="needs what was driven"):
        noisy_points(model, noise, torch.tensor([0, 0]))
