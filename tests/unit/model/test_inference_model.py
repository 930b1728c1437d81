"""The inference network answers what the training network answers: all modes, both jump tables, any batch."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from scrambled_planner import request, scrambled
from torch import Tensor, nn

from diffdrive.diffusion import DDIM, REFERENCE, JumpTable
from diffdrive.model import EncoderConfig, PlannerConfig, nano
from diffdrive.model.decoder.bev_sampling import BevSampling
from diffdrive.model.inference import ConvLayer, InferenceModel
from diffdrive.model.inference.sampling import SparseSampling, pad_map
from diffdrive.tensors import PlannerInputs

TOLERANCE = 1e-4  # metres, and logits

LIKE_THE_PUBLIC_MODEL = dataclasses.replace(
    nano(), bev_laterals=False, bev_head_is_metric=False, bev_value_kernel=3, offsets_from_anchors=False
)


def answer(model: InferenceModel, inputs: PlannerInputs, noise: Tensor) -> tuple[Tensor, ...]:
    outputs: tuple[Tensor, ...] = model(inputs.camera, inputs.lidar, inputs.status, noise)
    return outputs


@pytest.mark.parametrize("jumps", [REFERENCE, DDIM, JumpTable(start_level=0, jumps=((0, -1),), clips_prediction=False)])
@pytest.mark.parametrize("config", [nano(), LIKE_THE_PUBLIC_MODEL], ids=["nano", "public"])
def test_it_equals_the_training_network(config: PlannerConfig, jumps: JumpTable) -> None:
    model = scrambled(config)
    inputs, noise = request(config, 2)
    expected = model(inputs, noise, jumps)
    inference = InferenceModel(model, jumps, wants_agents=True, wants_bev=True)
    given = inference.proposals(answer(inference, inputs, noise))
    assert (given.poses - expected.poses).abs().max() < TOLERANCE
    assert (given.logits - expected.logits).abs().max() < TOLERANCE
    assert given.agents is not None and given.bev_logits is not None
    torch.testing.assert_close(given.agents.states, expected.agents.states, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(given.agents.logits, expected.agents.logits, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(given.bev_logits, expected.bev_logits, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_encoder": EncoderConfig(name="regnetx_002"), "fusion_heads": 2},
        {"decoder_layers": 3, "query_layers": 1, "fusion_layers": 1},
        {"bev_value_kernel": 5},
    ],
    ids=["regnet", "other depths", "kernel of 5"],
)
def test_it_follows_other_configurations(changes: dict) -> None:
    config = dataclasses.replace(nano(), **changes)
    model = scrambled(config)
    inputs, noise = request(config, 1)
    expected = model(inputs, noise)
    poses, logits = answer(InferenceModel(model), inputs, noise)
    assert (poses - expected.poses).abs().max() < TOLERANCE
    assert (logits - expected.logits).abs().max() < TOLERANCE


def test_heads_come_only_where_they_are_asked_for() -> None:
    model = scrambled(nano())
    inputs, noise = request(nano(), 1)
    plain = InferenceModel(model)
    assert plain.output_names == ("poses", "logits")
    proposals = plain.proposals(answer(plain, inputs, noise))
    assert proposals.agents is None and proposals.bev_logits is None
    assert InferenceModel(model, wants_agents=True).output_names == ("poses", "logits", "agent_states", "agent_logits")


def test_the_training_network_is_left_alone() -> None:
    model = scrambled(nano())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inference = InferenceModel(model)
    for value in inference.buffers():
        value.zero_()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_it_has_no_batch_norm_left_and_fewer_convolutions() -> None:
    model = scrambled(LIKE_THE_PUBLIC_MODEL)
    inference = InferenceModel(model)
    assert not [part for part in inference.modules() if isinstance(part, nn.BatchNorm2d | nn.Dropout | nn.MultiheadAttention)]
    assert [part for part in inference.modules() if isinstance(part, ConvLayer)]


@pytest.mark.parametrize(("dtype", "allowed_m"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_half_precision_stays_near_and_the_decoder_stays_single(dtype: torch.dtype, allowed_m: float) -> None:
    model = scrambled(nano())
    inputs, noise = request(nano(), 1)
    half = InferenceModel(model, dtype=dtype)
    assert {value.dtype for value in half.decoder.buffers() if value.is_floating_point()} == {torch.float32}
    assert {value.dtype for value in half.backbone.buffers() if value.is_floating_point()} == {dtype}
    poses, logits = answer(half, inputs, noise)
    expected = model(inputs, noise)
    difference = (poses - expected.poses)[..., :2].abs().max()
    assert poses.dtype == logits.dtype == torch.float32
    assert 0.0 < difference < allowed_m


@pytest.mark.parametrize("size", [1, 3, 5])
def test_sparse_sampling_equals_sampling_the_whole_map(size: int) -> None:
    config = dataclasses.replace(nano(), bev_value_kernel=size)
    generator = torch.Generator().manual_seed(4)
    sampling = BevSampling(config).requires_grad_(False)
    for value in sampling.parameters():
        value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    reach, cells = config.inputs.lidar_range_m, config.bev_pixels
    points = (torch.rand(2, 30, config.targets.num_poses, 2, generator=generator) - 0.5) * 2.6 * reach
    edge = 0.5 * 2 * reach / cells  # half a cell: where blocks begin to hang over the border
    exact = torch.tensor([-reach, reach, -reach + edge, reach - edge, 0.0, -reach - edge, reach + edge, 1e6])
    points[:, 0, :, 0], points[:, 1, :, 1] = exact, exact
    points[:, 2] = torch.stack((exact, exact.flip(0)), dim=-1)
    query = torch.randn(2, 30, config.dims, generator=generator)
    bev = torch.randn(2, config.dims, cells, cells, generator=generator)
    sparse = SparseSampling(sampling, cells)
    given = sparse(query, points, pad_map(bev.permute(0, 2, 3, 1), sparse.pad))
    torch.testing.assert_close(given, sampling(query, points, bev), rtol=0, atol=2e-5)


def test_points_that_are_not_finite_stay_visible() -> None:
    model = scrambled(nano())
    inputs, noise = request(nano(), 1)
    noise[0, 3, 2, 0] = float("nan")
    poses, _ = answer(InferenceModel(model), inputs, noise)
    finite = torch.isfinite(poses).all(dim=(2, 3))[0]
    assert not finite[3]
    assert int(finite.sum()) == nano().num_modes - 1
