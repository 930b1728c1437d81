"""The decoders that the paper compares with, and the cascade with parts of it left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scrambled_planner import request, scrambled
from tiny_planner import TINY_PLANNER
from tiny_variants import TINY_VARIANTS, tiny_variant

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.diffusion import JUMP_TABLES, noise_table
from diffdrive.model import DecoderKind, PlannerConfig, PlannerModel, Prior, base, nano, planner_config
from diffdrive.model.checkpoint import load_checkpoint, save_checkpoint
from diffdrive.model.decoder.unet import PointConvolution
from diffdrive.model.inference import InferenceModel

ALL = list(TINY_VARIANTS)
DIFFUSION = [name for name in ALL if name != "regression"]
CASCADES = [name for name in ALL if tiny_variant(name).decoder_kind is DecoderKind.CASCADE]


@pytest.mark.parametrize("name", ALL)
def test_a_variant_plans_and_survives_the_disk(name: str, tmp_path: Path) -> None:
    config = tiny_variant(name)
    model = scrambled(config)
    inputs, noise = request(config, 2)
    save_checkpoint(tmp_path, model)
    loaded = load_checkpoint(tmp_path).requires_grad_(False)
    assert loaded.config == config == build(PlannerConfig, to_mapping(config))
    before, after = model(inputs, noise), loaded(inputs, noise)
    assert before.poses.shape == (2, config.num_modes, config.targets.num_poses, 3)
    assert torch.equal(before.poses, after.poses) and torch.equal(before.logits, after.logits)
    assert bool(torch.isfinite(before.poses).all()) and before.poses[..., 2].abs().max() <= torch.pi


@pytest.mark.parametrize("name", ALL)
def test_scenes_of_a_batch_do_not_see_each_other(name: str) -> None:
    config = tiny_variant(name)
    model = scrambled(config)
    inputs, noise = request(config, 2)
    alone, noise_alone = request(config, 2)
    single = type(alone)(camera=alone.camera[1:], lidar=alone.lidar[1:], status=alone.status[1:])
    together, one = model(inputs, noise), model(single, noise_alone[1:])
    torch.testing.assert_close(one.poses[0], together.poses[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one.logits[0], together.logits[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("jumps", ["reference", "ddim-3", None])
@pytest.mark.parametrize("name", ALL)
def test_the_folded_network_equals_the_plain_one(name: str, jumps: str | None) -> None:
    config = tiny_variant(name)
    if jumps is not None and config.prior is Prior.NOISE:
        pytest.skip("truncated tables are not for pure noise")
    model = scrambled(config)
    inputs, noise = request(config, 2)
    table = None if jumps is None else JUMP_TABLES[jumps]
    expected = model(inputs, noise, table)
    folded = InferenceModel(model, table, wants_agents=True)
    poses, logits, *_ = folded(inputs.camera, inputs.lidar, inputs.status, noise)
    # Many layers of random weights enlarge rounding, differently on every processor: as much as they do that to the picture's
    # own last bits is no mistake of the folding.
    poses_atol = logits_atol = 2e-4
    for nudge in (-2e-7, 2e-7, 4e-7, 6e-7):
        nudged = model(replace(inputs, camera=inputs.camera * (1 + nudge)), noise, table)
        poses_atol = max(poses_atol, 3 * float((nudged.poses - expected.poses).abs().max()))
        logits_atol = max(logits_atol, 3 * float((nudged.logits - expected.logits).abs().max()))
    assert poses_atol < 5e-3 and logits_atol < 5e-3
    torch.testing.assert_close(poses, expected.poses, rtol=1e-5, atol=poses_atol)
    torch.testing.assert_close(logits, expected.logits, rtol=1e-5, atol=logits_atol)


@pytest.mark.parametrize("name", DIFFUSION)
def test_noise_and_scene_matter(name: str) -> None:
    config = tiny_variant(name)
    model = scrambled(config)
    inputs, noise = request(config, 1)
    plan = model(inputs, noise).poses
    assert (model(inputs, noise.flip(2)).poses - plan).abs().max() > 1e-3
    other, _ = request(config, 1, seed=9)
    assert (model(other, noise).poses - plan).abs().max() > 1e-5


def test_a_regression_takes_one_pass_and_no_noise() -> None:
    config = tiny_variant("regression")
    model = scrambled(config)
    inputs, noise = request(config, 2)
    proposals = model(inputs, noise, JUMP_TABLES["ddim-3"])
    assert len(proposals.passes) == len(proposals.passes[0]) == 1
    assert torch.equal(proposals.poses, model(inputs, torch.zeros_like(noise)).poses)
    assert torch.equal(proposals.logits, torch.zeros(2, 1))


def test_samples_from_noise_have_no_score_and_many_passes() -> None:
    config = tiny_variant("vanilla")
    inputs, noise = request(config, 1)
    proposals = scrambled(config)(inputs, noise)
    assert len(proposals.passes) == 20
    assert torch.equal(proposals.logits, torch.zeros(1, config.num_modes))
    assert torch.equal(proposals.best, proposals.poses[:, 0])
    assert config.default_jumps == noise_table(20)


def test_pure_noise_is_not_held_in_the_box() -> None:
    noisy, anchored = scrambled(tiny_variant("vanilla")), scrambled(tiny_variant("truncated"))
    far = torch.full((1, 1, 8, 2), 3.0)
    assert torch.allclose(noisy.config.normalizer.normalize(noisy.points(far)), far, atol=1e-5)
    assert torch.allclose(anchored.config.normalizer.normalize(anchored.points(far)), torch.ones_like(far), atol=1e-5)


def test_the_unet_moves_the_anchors_where_it_is_told_to() -> None:
    inputs, noise = request(tiny_variant("truncated"), 1)
    for name, expected in (("truncated", True), ("truncated, points as they are", False)):
        model = scrambled(tiny_variant(name))
        last = model.decoder.poses[-1]
        last.weight.zero_()
        last.bias.zero_()
        centre = model.config.normalizer.denormalize(torch.zeros_like(model.anchors))
        wanted = model.anchors if expected else centre
        torch.testing.assert_close(model(inputs, noise).poses[0, ..., :2], wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("part", ["bev", "agent_queries", "ego_query"])
@pytest.mark.parametrize("name", CASCADES)
def test_a_removed_attention_sees_nothing_and_weighs_nothing(name: str, part: str) -> None:
    config = tiny_variant(name)
    model = scrambled(config)
    inputs, noise = request(config, 1)
    features = model.encode(inputs)
    changed = {**{key: getattr(features, key) for key in features.__slots__}, part: getattr(features, part) + 1.0}
    before = model.denoise(features, noise)[-1][-1].poses
    after = model.denoise(type(features)(**changed), noise)[-1][-1].poses
    flag = {"bev": "spatial_attention", "agent_queries": "agent_attention", "ego_query": "ego_attention"}[part]
    module = {"bev": "bev_sampling", "agent_queries": "agent_", "ego_query": "ego_"}[part]
    assert torch.equal(before, after) is not getattr(config, flag)
    assert any(f".{module}" in key for key in model.decoder.state_dict()) is getattr(config, flag)


def test_handing_features_on_adds_no_weights_and_changes_the_second_layer_alone() -> None:
    handed = scrambled(tiny_variant("features handed on"))
    plain = PlannerModel(tiny_variant("full"), handed.anchors).eval()
    plain.load_state_dict(handed.state_dict())
    inputs, _ = request(handed.config, 1)
    with torch.no_grad():
        features = handed.encode(inputs)
        points = handed.anchors[None] + 1.0
        first, second = handed.decode(features, points, 3)
        same, other = plain.decode(features, points, 3)
    assert torch.equal(first.poses, same.poses)
    assert (second.poses - other.poses).abs().max() > 1e-3


def test_what_is_handed_on_carries_gradients_and_points_do_not() -> None:
    model = scrambled(tiny_variant("features handed on"))
    model.decoder.requires_grad_(True)
    inputs, _ = request(model.config, 1)
    _, second = model.decode(model.encode(inputs), model.anchors[None], 3)
    second.poses[..., :2].sum().backward()
    assert model.decoder.layers[0].ffn[0].weight.grad.abs().sum() > 0
    assert model.decoder.layers[0].head.regression[-1].weight.grad is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder_kind": "regression"}, "num_modes to 1"),
        ({"prior": "noise", "num_train_levels": 1000}, "decoder_kind: unet"),
        ({"prior": "noise", "decoder_kind": "unet"}, "num_train_levels to 1000"),
        ({"spatial_attention": False, "agent_attention": False, "ego_attention": False}, "at least one"),
        ({"decoder_kind": "mlp"}, "cascade"),
    ],
)
def test_variants_that_make_no_sense_are_errors(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        planner_config("nano", {**TINY_PLANNER, **changes})


def test_configurations_of_before_are_todays_model() -> None:
    added = {"decoder_kind", "prior", "spatial_attention", "agent_attention", "ego_attention", "hands_on_features"}
    for config in (base(), nano()):
        old = {name: value for name, value in to_mapping(config).items() if name not in added}
        assert build(PlannerConfig, old) == config


@pytest.mark.parametrize(
    ("changes", "millions"),
    [({}, 1.017), ({"decoder_kind": "unet"}, 1.681), ({"decoder_kind": "regression", "num_modes": 1}, 0.078)],
    ids=["cascade", "unet", "regression"],
)
def test_sizes_of_nanos_decoders(changes: dict, millions: float) -> None:
    config = planner_config("nano", changes)
    model = PlannerModel(config, torch.zeros(config.anchor_shape))
    count = sum(parameter.numel() for parameter in model.decoder.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.001)


@pytest.mark.parametrize(("kernel", "stride", "num_points"), [(3, 1, 8), (3, 2, 8), (3, 2, 7), (1, 1, 4)])
def test_a_convolution_along_points_is_the_one_of_torch(kernel: int, stride: int, num_points: int) -> None:
    torch.manual_seed(0)
    layer = PointConvolution(5, 6, kernel=kernel, stride=stride)
    points = torch.randn(2, 3, num_points, 5)
    channels_first = points.flatten(0, 1).transpose(1, 2)
    expected = torch.nn.functional.conv1d(channels_first, layer.weight, layer.bias, stride=stride, padding=kernel // 2)
    torch.testing.assert_close(layer(points), expected.transpose(1, 2).unflatten(0, (2, 3)))
