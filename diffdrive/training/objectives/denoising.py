"""One training step of the planner: noise the anchors, denoise them in one pass, compare with what was driven."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, Prior
from diffdrive.tensors import BEV_IGNORED, AgentPredictions, LayerProposals, PlannerInputs, PlannerTargets
from diffdrive.training.objectives.agents import agent_losses
from diffdrive.training.objectives.imitation import imitation_loss, nearest_anchor, regression_loss
from diffdrive.training.objectives.terms import LossTerms, ObjectiveWeights


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
    points = noisy_points(model, noise, levels, targets.trajectory)
    features = model.encode(inputs)
    layers = model.decode(features, points, levels)
    return planner_losses(layers, features, targets, model.matched_anchors, weights or ObjectiveWeights())


def noisy_points(model: PlannerModel, noise: Tensor, levels: Tensor, trajectory: Tensor | None = None) -> Tensor:
    """[B, M, T, 2] metres, with noise of ``levels`` [B]: the anchors, held inside the normaliser's box.

    A model that starts from pure noise has the driven ``trajectory`` [B, T, 3] noised instead. Raises ``InputError`` where
    such a model is given none.
    """
    config = model.config
    if tuple(noise.shape) != (len(levels), *config.noise_shape):
        expected = [len(levels), *config.noise_shape]
        raise InputError(f"noise must have shape {expected} [B, M, T, 2] with one level per sample, got {list(noise.shape)}.")
    clean = model.anchors
    if config.prior is Prior.NOISE:
        if trajectory is None:
            raise InputError("prior: noise learns from noised trajectories: noisy_points needs what was driven.")
        clean = trajectory[:, None, :, :2].to(noise.dtype)
    return model.points(config.schedule.add_noise(config.normalizer.normalize(clean), noise, levels))


def planner_losses(
    layers: tuple[LayerProposals, ...],
    perceived: Perceived,
    targets: PlannerTargets,
    anchors: Tensor | None,
    weights: ObjectiveWeights,
    slots: Tensor | None = None,
) -> LossTerms:
    """Terms ``trajectory_0`` .. one per decoder layer, ``agent_class``, ``agent_box`` and ``bev_semantic``.

    ``anchors`` are ``PlannerModel.matched_anchors``.
    ``slots`` [B, A] matches agent slots to target rows; None finds the cheapest matching.
    """
    terms = trajectory_losses(layers, targets.trajectory, anchors, weights)
    agent_class, agent_box = agent_losses(perceived.agents, targets.agent_states, targets.agent_labels, weights, slots)
    bev = F.cross_entropy(perceived.bev_logits, targets.bev_semantic, ignore_index=BEV_IGNORED)
    return LossTerms({**terms, "agent_class": agent_class, "agent_box": agent_box, "bev_semantic": weights.bev_semantic * bev})


def trajectory_losses(
    layers: tuple[LayerProposals, ...], trajectory: Tensor, anchors: Tensor | None, weights: ObjectiveWeights
) -> dict[str, Tensor]:
    """Terms ``trajectory_0`` .. one per decoder layer, against the driven ``trajectory`` [B, T, 3].

    The proposal of the nearest of ``anchors`` imitates it; without anchors every proposal does, and none is scored.
    """
    if anchors is None:
        losses = [regression_loss(layer, trajectory, weights) for layer in layers]
    else:
        positive = nearest_anchor(anchors, trajectory)
        losses = [imitation_loss(layer, trajectory, positive, weights) for layer in layers]
    return {f"trajectory_{index}": loss for index, loss in enumerate(losses)}
