import dataclasses
import math

import pytest
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.diffusion import CLEAN, DDIM, JumpTable
from diffdrive.model import PlannerConfig, PlannerModel, nano
from diffdrive.model.decoder.bev_sampling import BevSampling
from diffdrive.model.decoder.embeddings import sine_level, sine_points
from diffdrive.tensors import PlannerInputs

# Offsets from the points, as the public model has them; test_anchored_offsets.py is about the other kind.
CONFIG = dataclasses.replace(nano(), offsets_from_anchors=False)


def _fan(config: PlannerConfig) -> Tensor:
    """Arcs of different curvature and speed."""
    time = torch.arange(1, config.targets.num_poses + 1) * config.targets.interval_s
    mode = torch.arange(config.num_modes, dtype=torch.float32)[:, None]
    return torch.stack((time * (2.0 + 0.5 * mode), 0.05 * (mode - 10.0) * time**2), dim=-1)


def _inputs(config: PlannerConfig, batch: int, seed: int) -> PlannerInputs:
    generator = torch.Generator().manual_seed(seed)
    layout = config.inputs
    return PlannerInputs(
        camera=torch.rand(batch, 3, layout.camera_height, layout.camera_width, generator=generator),
        lidar=torch.rand(batch, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
        status=torch.rand(batch, 8, generator=generator),
    )


def _noise(config: PlannerConfig, batch: int, seed: int) -> Tensor:
    return torch.randn(batch, *config.noise_shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def model() -> PlannerModel:
    torch.manual_seed(0)
    return PlannerModel(CONFIG, _fan(CONFIG)).eval()


def test_proposals_have_every_mode_of_every_layer_of_every_pass(model: PlannerModel) -> None:
    with torch.no_grad():
        proposals = model(_inputs(CONFIG, 2, 0), _noise(CONFIG, 2, 1))
    assert [len(layers) for layers in proposals.passes] == [CONFIG.decoder_layers] * 2
    assert proposals.poses.shape == (2, 20, 8, 3)
    assert proposals.logits.shape == (2, 20)
    assert proposals.agents.states.shape == (2, CONFIG.targets.num_agents, 5)
    assert proposals.bev_logits.shape == (2, 7, CONFIG.targets.bev_rows, CONFIG.targets.bev_columns)
    assert proposals.poses[..., 2].abs().max() < math.pi


def test_a_batch_of_two_equals_two_batches_of_one(model: PlannerModel) -> None:
    inputs, noise = _inputs(CONFIG, 2, 2), _noise(CONFIG, 2, 3)
    with torch.no_grad():
        together = model(inputs, noise)
        for index in range(2):
            one = PlannerInputs(camera=inputs.camera[[index]], lidar=inputs.lidar[[index]], status=inputs.status[[index]])
            alone = model(one, noise[[index]])
            torch.testing.assert_close(alone.poses[0], together.poses[index], rtol=0, atol=1e-4)
            torch.testing.assert_close(alone.logits[0], together.logits[index], rtol=0, atol=1e-4)


def test_a_plan_is_a_function_of_its_arguments_alone(model: PlannerModel) -> None:
    inputs, noise = _inputs(CONFIG, 1, 4), _noise(CONFIG, 1, 5)
    with torch.no_grad():
        torch.manual_seed(0)
        first = model(inputs, noise)
        torch.manual_seed(1)
        assert torch.equal(model(inputs, noise).poses, first.poses)
        assert not torch.equal(model(inputs, noise + 1.0).poses, first.poses)


def test_each_input_reaches_the_proposals(model: PlannerModel) -> None:
    inputs, noise = _inputs(CONFIG, 1, 6), _noise(CONFIG, 1, 7)
    with torch.no_grad():
        before = model(inputs, noise)
        for name in ("camera", "lidar", "status"):
            given = {"camera": inputs.camera, "lidar": inputs.lidar, "status": inputs.status}
            given[name] = torch.zeros_like(given[name])
            after = model(PlannerInputs(**given), noise)
            assert not torch.allclose(after.poses, before.poses, atol=1e-5), name


def test_the_jump_table_decides_how_often_and_at_which_level_the_decoder_runs(
    model: PlannerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    decode = PlannerModel.decode
    monkeypatch.setattr(
        PlannerModel, "decode", lambda self, f, points, level: (seen.append(level), decode(self, f, points, level))[1]
    )
    table = JumpTable(start_level=30, jumps=((30, 12), (12, 3), (3, CLEAN)), clips_prediction=False)
    with torch.no_grad():
        model(_inputs(CONFIG, 1, 8), _noise(CONFIG, 1, 9), table)
        model(_inputs(CONFIG, 1, 8), _noise(CONFIG, 1, 9), DDIM)
    assert seen == [30, 12, 3, 10, 0]


def test_an_integer_level_equals_one_level_per_sample(model: PlannerModel) -> None:
    with torch.no_grad():
        features = model.encode(_inputs(CONFIG, 2, 10))
        points = model.anchors.expand(2, -1, -1, -1)
        by_number = model.decode(features, points, 7)[-1]
        by_sample = model.decode(features, points, torch.tensor([7, 7]))[-1]
        other = model.decode(features, points, 30)[-1]
    assert torch.equal(by_number.poses, by_sample.poses)
    assert not torch.allclose(by_number.poses, other.poses, atol=1e-5)


def test_proposals_move_with_their_points_and_modes_do_not_mix(model: PlannerModel) -> None:
    order = torch.randperm(CONFIG.num_modes, generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        features = model.encode(_inputs(CONFIG, 1, 12))
        points = model.anchors[None]
        straight, shuffled = model.decode(features, points, 5)[-1], model.decode(features, points[:, order], 5)[-1]
    torch.testing.assert_close(shuffled.poses, straight.poses[:, order], rtol=0, atol=1e-4)
    torch.testing.assert_close(shuffled.logits, straight.logits[:, order], rtol=0, atol=1e-4)


def test_only_points_travel_down_the_cascade_without_gradient(model: PlannerModel) -> None:
    features = model.encode(_inputs(CONFIG, 1, 13))
    layers = model.decode(features, model.anchors[None], 5)
    first = model.decoder.layers[0].head.regression[-1].weight
    (gradient,) = torch.autograd.grad(layers[-1].poses.sum() + layers[-1].logits.sum(), first, allow_unused=True)
    assert gradient is None
    (gradient,) = torch.autograd.grad(layers[0].poses.sum(), first)
    assert gradient.abs().sum() > 0


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    model = PlannerModel(CONFIG, _fan(CONFIG)).train()
    features = model.encode(_inputs(CONFIG, 2, 14))
    layers = model.decode(features, model.anchors.expand(2, -1, -1, -1), torch.tensor([3, 40]))
    outputs = [*(layer.poses for layer in layers), *(layer.logits for layer in layers)]
    outputs += [features.agents.states, features.agents.logits, features.bev_logits]
    sum(output.square().sum() for output in outputs).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())]
    assert silent == []


def test_training_mode_changes_nothing_but_batch_norm(model: PlannerModel) -> None:
    inputs, noise = _inputs(CONFIG, 2, 15), _noise(CONFIG, 2, 16)
    with torch.no_grad():
        expected = model(inputs, noise)
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        torch.testing.assert_close(model(inputs, noise).poses, expected.poses, rtol=0, atol=1e-5)
    model.eval()


def test_scores_start_near_their_prior(model: PlannerModel) -> None:
    biases = [layer.head.score[-1].bias.item() for layer in model.decoder.layers]
    assert biases == pytest.approx([math.log(0.01 / 0.99)] * CONFIG.decoder_layers)


def test_sine_points_put_y_before_x_and_interleave() -> None:
    embedded = sine_points(torch.tensor([[0.25, 0.5]]), 8)[0]
    y, x = embedded[:4], embedded[4:]
    slow = 10000.0**0.5
    assert y.tolist() == pytest.approx([0.0, -1.0, math.sin(math.pi / slow), math.cos(math.pi / slow)], abs=1e-6)
    assert x.tolist()[:2] == pytest.approx([1.0, 0.0], abs=1e-6)


def test_sine_level_has_sines_then_cosines() -> None:
    embedded = sine_level(torch.tensor([3]), 4)[0]
    expected = [math.sin(3), math.sin(3e-4), math.cos(3), math.cos(3e-4)]
    assert embedded.tolist() == pytest.approx(expected, abs=1e-6)


def test_bev_sampling_reads_the_cell_under_the_point() -> None:
    sampling = BevSampling(CONFIG)
    torch.nn.init.eye_(sampling.output.weight)
    torch.nn.init.dirac_(sampling.value.weight)
    torch.nn.init.zeros_(sampling.value.bias)
    cells, reach = CONFIG.bev_pixels, CONFIG.inputs.lidar_range_m
    row, column = 5 * cells // 8, cells // 8
    bev = torch.zeros(1, CONFIG.dims, cells, cells)
    bev[0, 0, row, column] = 1.0
    size = 2 * reach / cells
    here = torch.tensor([(row + 0.5) * size - reach, (column + 0.5) * size - reach])
    points = torch.stack((here, here.flip(0), here + 1000.0))[None, :, None].expand(1, 3, CONFIG.targets.num_poses, 2)
    read = sampling(torch.zeros(1, 3, CONFIG.dims), points, bev)[0, :, 0]
    assert read.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-5)


def test_a_metric_bev_head_reads_the_front_half_only(model: PlannerModel) -> None:
    fine = torch.rand(1, CONFIG.bev_channels, CONFIG.bev_pixels, CONFIG.bev_pixels, generator=torch.Generator().manual_seed(1))
    behind = fine.clone()
    behind[:, :, : CONFIG.bev_pixels // 2] = 0.0
    with torch.no_grad():
        assert torch.equal(model.bev_head(fine), model.bev_head(behind))
        assert not torch.equal(model.bev_head(fine), model.bev_head(torch.zeros_like(fine)))


def test_anchors_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(InputError, match=r"shape \[20, 8, 2\].*got \[20, 6, 2\].*anchors fit"):
        PlannerModel(CONFIG, torch.zeros(20, 6, 2))
    with pytest.raises(InputError, match="finite"):
        PlannerModel(CONFIG, torch.full((20, 8, 2), math.nan))


def test_inputs_or_noise_of_another_size_are_an_error(model: PlannerModel) -> None:
    inputs = _inputs(CONFIG, 1, 0)
    with pytest.raises(InputError, match=r"camera of shape \[3, 96, 384\]"):
        model.encode(PlannerInputs(camera=inputs.camera[..., ::2], lidar=inputs.lidar, status=inputs.status))
    with pytest.raises(InputError, match="noise must have shape"):
        model(inputs, torch.zeros(2, *CONFIG.noise_shape))
    with pytest.raises(InputError, match="points must have axes"):
        model.decode(model.encode(inputs), torch.zeros(1, 20, 7, 2), 3)


def test_anchors_belong_to_the_model_and_not_to_the_caller() -> None:
    anchors = _fan(CONFIG)
    model = PlannerModel(CONFIG, anchors)
    anchors.zero_()
    assert model.anchors.abs().sum() > 0
    assert "anchors" in model.state_dict()
