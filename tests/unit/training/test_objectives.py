import itertools
import math

import pytest
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerConfig, PlannerModel, nano, planner_config
from diffdrive.tensors import AgentPredictions, LayerProposals, PlannerInputs, PlannerTargets
from diffdrive.training.objectives import LossTerms, ObjectiveWeights, denoising_losses, noisy_points
from diffdrive.training.objectives.agents import agent_losses, match
from diffdrive.training.objectives.imitation import focal_loss, imitation_loss, nearest_anchor

WEIGHTS = ObjectiveWeights()


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_positive_mode_is_the_anchor_nearest_on_average() -> None:
    anchors = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[3.0, 0.0], [0.0, 4.0]], [[9.0, 9.0], [9.0, 9.0]]])
    trajectory = torch.tensor([[[3.0, 1.0, 9.0], [0.0, 3.0, 9.0]], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
    assert nearest_anchor(anchors, trajectory).tolist() == [1, 0]


def test_focal_loss_follows_its_equation() -> None:
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    p, q = 1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(1.0))
    expected = (-0.25 * (1 - p) ** 2 * math.log(p) - 0.75 * q**2 * math.log(1 - q)) / 2
    assert focal_loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_imitation_loss_compares_the_positive_mode_alone() -> None:
    trajectory = _random(2, 8, 3)
    poses = _random(2, 5, 8, 3, seed=1)
    positive = torch.tensor([3, 0])
    poses[torch.arange(2), positive] = trajectory + 0.5
    logits = torch.full((2, 5), -100.0)
    logits[torch.arange(2), positive] = 100.0
    loss = imitation_loss(LayerProposals(poses, logits), trajectory, positive, WEIGHTS)
    assert loss.item() == pytest.approx(12 * 8 * 0.5, rel=1e-5)
    wrong = imitation_loss(LayerProposals(poses, -logits), trajectory, positive, WEIGHTS)
    assert wrong.item() == pytest.approx(12 * (8 * 0.5 + 10 * (0.25 * 100 + 4 * 0.75 * 100) / 5), rel=1e-5)


def _agents(num: int, seed: int) -> tuple[AgentPredictions, Tensor, Tensor]:
    predicted = AgentPredictions(5 * _random(2, num, 5, seed=seed), _random(2, num, seed=seed + 1))
    labels = torch.arange(num)[None] < torch.tensor([[2], [num]])
    return predicted, 5 * _random(2, num, 5, seed=seed + 2) * labels[..., None], labels


def test_agents_are_matched_at_least_total_cost() -> None:
    predicted, states, labels = _agents(4, seed=3)
    index = match(predicted, states, labels, WEIGHTS)

    def cost(sample: int, slots: tuple[int, ...]) -> float:
        logits, valid = predicted.logits[sample, list(slots)], labels[sample].float()
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, valid, reduction="sum")
        distance = (predicted.states[sample, list(slots), :2] - states[sample, :, :2]).abs().sum(-1)
        return (10 * entropy + (distance * valid).sum()).item()

    for sample in range(2):
        best = min(cost(sample, slots) for slots in itertools.permutations(range(4)))
        assert cost(sample, tuple(index[sample].tolist())) == pytest.approx(best, rel=1e-5)


def test_agent_losses_do_not_depend_on_the_order_of_slots_or_targets() -> None:
    predicted, states, labels = _agents(4, seed=6)
    expected = agent_losses(predicted, states, labels, WEIGHTS)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = AgentPredictions(predicted.states[:, order], predicted.logits[:, order])
    for losses in (
        agent_losses(shuffled, states, labels, WEIGHTS),
        agent_losses(predicted, states[:, order], labels[:, order], WEIGHTS),
    ):
        assert [loss.item() for loss in losses] == pytest.approx([loss.item() for loss in expected], rel=1e-5)


def test_perfect_agents_cost_nothing_and_the_box_loss_is_per_vehicle() -> None:
    _, states, labels = _agents(4, seed=9)
    logits = torch.where(labels, 50.0, -50.0)
    class_loss, box_loss = agent_losses(AgentPredictions(states.clone(), logits), states, labels, WEIGHTS)
    assert (class_loss.item(), box_loss.item()) == pytest.approx((0.0, 0.0), abs=1e-6)
    _, box_loss = agent_losses(AgentPredictions(states + 0.01, logits), states, labels, WEIGHTS)
    assert box_loss.item() == pytest.approx(0.05, rel=1e-3)


def test_a_batch_without_vehicles_has_no_box_loss() -> None:
    predicted, states, labels = _agents(4, seed=12)
    class_loss, box_loss = agent_losses(predicted, states, torch.zeros_like(labels), WEIGHTS)
    assert box_loss.item() == 0.0
    assert class_loss.item() > 0.0


def test_diverged_agents_have_a_loss_that_says_so() -> None:
    predicted, states, labels = _agents(4, seed=15)
    for broken in (
        AgentPredictions(predicted.states * math.nan, predicted.logits),
        AgentPredictions(predicted.states, predicted.logits * math.inf),
    ):
        total = sum(agent_losses(broken, states, labels, WEIGHTS))
        assert not math.isfinite(float(total))
    _, healthy = match(predicted, states, labels, WEIGHTS)[:2]
    half = AgentPredictions(predicted.states.clone(), predicted.logits)
    half.states[0, 0] = math.nan
    assert torch.equal(match(half, states, labels, WEIGHTS)[1], healthy), "other samples keep their matching"


def _batch(config: PlannerConfig, batch: int) -> tuple[PlannerInputs, PlannerTargets]:
    generator = torch.Generator().manual_seed(20)
    layout, targets = config.inputs, config.targets
    inputs = PlannerInputs(
        camera=torch.rand(batch, 3, layout.camera_height, layout.camera_width, generator=generator),
        lidar=torch.rand(batch, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
        status=torch.rand(batch, 8, generator=generator),
    )
    wanted = PlannerTargets(
        trajectory=torch.linspace(0.5, 4.0, targets.num_poses)[None, :, None]
        * torch.tensor([5.0, 0.3, 0.02]).expand(batch, 1, 3),
        agent_states=torch.randn(batch, targets.num_agents, 5, generator=generator),
        agent_labels=torch.rand(batch, targets.num_agents, generator=generator) > 0.7,
        bev_semantic=torch.randint(0, targets.bev_classes, (batch, targets.bev_rows, targets.bev_columns), generator=generator),
    )
    return inputs, wanted


@pytest.fixture(scope="module")
def model() -> PlannerModel:
    torch.manual_seed(0)
    config = nano()
    return PlannerModel(config, 10 * _random(*config.anchor_shape, seed=21).cumsum(dim=1))


def _losses(model: PlannerModel, weights: ObjectiveWeights) -> LossTerms:
    inputs, targets = _batch(model.config, 2)
    noise, levels = _random(2, *model.config.noise_shape, seed=22), torch.tensor([0, 49])
    return denoising_losses(model.eval(), inputs, targets, noise, levels, weights)


def test_every_term_is_named_weighted_and_summed(model: PlannerModel) -> None:
    losses = _losses(model, WEIGHTS)
    assert list(losses.terms) == ["trajectory_0", "trajectory_1", "agent_class", "agent_box", "bev_semantic"]
    assert losses.total.item() == pytest.approx(sum(value.item() for value in losses.terms.values()), rel=1e-5)
    doubled = _losses(model, ObjectiveWeights(trajectory=24.0, bev_semantic=28.0))
    for name, factor in {"trajectory_0": 2, "trajectory_1": 2, "bev_semantic": 2, "agent_class": 1}.items():
        assert doubled.terms[name].item() == pytest.approx(factor * losses.terms[name].item(), rel=1e-4), name


def test_one_step_along_the_gradient_lowers_the_loss() -> None:
    torch.manual_seed(0)
    config = planner_config("nano", overrides=["query_layers=1", "fusion_layers=1"])
    model = PlannerModel(config, 10 * _random(*config.anchor_shape, seed=21).cumsum(dim=1))
    before = _losses(model, WEIGHTS).total
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 1e-6 * parameter.grad
        assert _losses(model, WEIGHTS).total < before


def test_noisy_points_stay_in_the_box_and_leave_clean_anchors_at_no_noise(model: PlannerModel) -> None:
    config, levels = model.config, torch.tensor([0, 49])
    noise = 1000.0 * _random(2, *config.noise_shape, seed=23)
    box = config.normalizer.normalize(noisy_points(model, noise, levels))
    assert box.abs().max() <= 1.0 + 1e-5
    calm = noisy_points(model, torch.zeros_like(noise), levels)
    inside = config.normalizer.normalize(model.anchors).clamp(-1.0, 1.0)
    torch.testing.assert_close(calm[0], config.normalizer.denormalize(inside), rtol=0, atol=5e-3)


def test_noise_without_a_level_per_sample_is_an_error(model: PlannerModel) -> None:
    with pytest.raises(InputError, match="one level per sample"):
        noisy_points(model, torch.zeros(2, *model.config.noise_shape), torch.tensor([1]))


def test_a_negative_weight_is_an_error() -> None:
    with pytest.raises(InputError, match="agent_box must not be negative"):
        ObjectiveWeights(agent_box=-1.0)
