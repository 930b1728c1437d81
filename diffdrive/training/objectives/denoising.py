"""One training step of the planner: noise the anchors, denoise them in one pass, compare with what was driven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor
from torch.nn import functional as F

from diffdrive.contracts import InputError
from diffdrive.tensors import AgentPredictions, LayerProposals, PlannerInputs, PlannerTargets
from diffdrive.training.objectives.agents import agent_losses
from diffdrive.training.objectives.imitation import imitation_loss, nearest_anchor
from diffdrive.training.objectives.terms import LossTerms, ObjectiveWeights

if TYPE_CHECKING:
    from diffdrive.model import PlannerModel


class Perceived(Protocol):
    """What the auxiliary losses read: ``SceneFeatures`` has it, and so have ``Proposals``."""

    @property
    def agents(self) -> AgentPredictions: ...

    @property
    def bev_logits(self) -> Tensor: ...


def denoising_losses(
    model: PlannerModel,
    inputs: PlannerInputs,
    targets: PlannerTargets,
    noise: Tensor,
    levels: Tensor,
    weights: ObjectiveWeights | None = None,
) -> LossTerms:
    """All loss terms of one batch.

    ``noise`` [B, M, T, 2] is standard normal and ``levels`` [B] integers in 0 .. num_train_levels - 1; the caller draws both.
    """
    points = noisy_points(model, noise, levels)
    features = model.encode(inputs)
    layers = model.decode(features, points, levels)
    return planner_losses(layers, features, targets, model.anchors, weights or ObjectiveWeights())


def noisy_points(model: PlannerModel, noise: Tensor, levels: Tensor) -> Tensor:
    """[B, M, T, 2] metres: the anchors with noise of ``levels`` [B], held inside the normaliser's box."""
    config = model.config
    if tuple(noise.shape) != (len(levels), *config.noise_shape):
        expected = [len(levels), *config.noise_shape]
        raise InputError(f"noise must have shape {expected} [B, M, T, 2] with one level per sample, got {list(noise.shape)}.")
    x_t = config.schedule.add_noise(config.normalizer.normalize(model.anchors), noise, levels)
    return config.normalizer.denormalize(x_t.clamp(-1.0, 1.0))


def planner_losses(
    layers: tuple[LayerProposals, ...],
    perceived: Perceived,
    targets: PlannerTargets,
    anchors: Tensor,
    weights: ObjectiveWeights,
    slots: Tensor | None = None,
) -> LossTerms:
    """Terms ``trajectory_0`` .. one per decoder layer, ``agent_class``, ``agent_box`` and ``bev_semantic``.

    ``slots`` [B, A] matches agent slots to target rows; None finds the cheapest matching.
    """
    terms = trajectory_losses(layers, targets.trajectory, anchors, weights)
    agent_class, agent_box = agent_losses(perceived.agents, targets.agent_states, targets.agent_labels, weights, slots)
    bev = F.cross_entropy(perceived.bev_logits, targets.bev_semantic)
    return LossTerms({**terms, "agent_class": agent_class, "agent_box": agent_box, "bev_semantic": weights.bev_semantic * bev})


def trajectory_losses(
    layers: tuple[LayerProposals, ...], trajectory: Tensor, anchors: Tensor, weights: ObjectiveWeights
) -> dict[str, Tensor]:
    """Terms ``trajectory_0`` .. one per decoder layer, against the driven ``trajectory`` [B, T, 3]."""
    positive = nearest_anchor(anchors, trajectory)
    return {f"trajectory_{index}": imitation_loss(layer, trajectory, positive, weights) for index, layer in enumerate(layers)}
