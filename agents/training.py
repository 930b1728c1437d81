"""One training step of the agent, as the devkit's Lightning module asks for it: forward, then a loss of what it returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from diffdrive.configuration import build
from diffdrive.contracts import InputError
from diffdrive.diffusion import JumpTable
from diffdrive.model import PlannerModel, SceneFeatures
from diffdrive.runtime.noise import NoiseKind, noise_for
from diffdrive.tensors import Proposals
from diffdrive.training.config import OnNan, OptimizerConfig, Schedule
from diffdrive.training.lightning import pl
from diffdrive.training.objectives import LossTerms, ObjectiveWeights, noisy_points, planner_losses
from diffdrive.training.optim import LearningRate, build_optimizer, set_rate

from .features import inputs_of
from .targets import planner_targets

PROPOSED = "planned"
"""The key under which ``forward`` returns its ``Proposals``, for the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an agent is trained by the devkit, whose trainer owns epochs, precision and clipping."""

    epochs: int = 100
    """For the learning rate's cosine: set it to the trainer's ``max_epochs``."""

    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(gradient_clip_norm=None))
    weights: ObjectiveWeights = field(default_factory=ObjectiveWeights)

    def __post_init__(self) -> None:
        given = self.optimizer
        if given.gradient_clip_norm is not None or given.ema_decay is not None or given.anneal_by_time:
            raise InputError(
                "The devkit's trainer has no average of weights and no clock, and clips by itself: leave ema_decay, "
                "anneal_by_time and gradient_clip_norm out of the agent's optimizer, and set trainer.params.gradient_clip_val."
            )
        if given.lr_batch_size is not None or given.on_nan is not OnNan.STOP:
            raise InputError(
                "The devkit's trainer owns the batch size and takes every step: leave lr_batch_size and on_nan out of the "
                "agent's optimizer, and give the lr of its own batch."
            )
        if self.epochs < 1:
            raise InputError(f"Recipe.epochs must be at least 1, got {self.epochs}.")

    @classmethod
    def of(cls, epochs: int, optimizer: Mapping[str, Any] | None, weights: Mapping[str, Any] | None) -> Recipe:
        """From plain mappings. Raises ``InputError`` for unknown keys and wrong types."""
        return cls(
            epochs=epochs,
            optimizer=build(OptimizerConfig, {"gradient_clip_norm": None, **(optimizer or {})}),
            weights=build(ObjectiveWeights, weights),
        )


def training_pass(network: PlannerModel, features: Mapping[str, Tensor]) -> Proposals:
    """One denoising pass from a noise level drawn for each scene. Draws from torch's global generator of the device."""
    inputs = inputs_of(features)
    config, device, count = network.config, inputs.status.device, inputs.batch_size
    noise = torch.randn(count, *config.noise_shape, device=device)
    levels = torch.randint(config.num_train_levels, (count,), device=device)
    seen = network.encode(inputs)
    layers = network.decode(seen, noisy_points(network, noise, levels), levels)
    return Proposals(passes=(layers,), agents=seen.agents, bev_logits=seen.bev_logits)


def planning_pass(
    network: PlannerModel, features: Mapping[str, Tensor], jumps: JumpTable | None, kind: NoiseKind, seed: int
) -> Proposals:
    """The whole sampling. Every scene of the batch starts from the same noise, so the batch does not matter.

    With ``TORCH`` one draw for the whole batch, as the public model does.
    """
    inputs = inputs_of(features)
    shape, device, count = network.config.noise_shape, inputs.status.device, inputs.batch_size
    if kind is NoiseKind.TORCH:
        noise = torch.randn(count, *shape, device=device)
    else:
        noise = torch.from_numpy(noise_for(kind, "", seed, shape)).to(device).expand(count, *shape)
    proposals: Proposals = network(inputs, noise, jumps)
    return proposals


def predictions_of(proposals: Proposals) -> dict[str, Any]:
    """What the agent's ``forward`` returns, under the public names, and all proposals with their scores.

    trajectory  [B, T, 3]    proposals  [B, M, T, 3]    scores  [B, M], they sum to one
    agent_states  [B, A, 5]    agent_labels  [B, A] logits    bev_semantic_map  [B, K, H, W] logits
    """
    predictions: dict[str, Any] = {
        "trajectory": proposals.best,
        "proposals": proposals.poses,
        "scores": proposals.logits.softmax(dim=1),
        PROPOSED: proposals,
    }
    if proposals.agents is not None:
        predictions |= {"agent_states": proposals.agents.states, "agent_labels": proposals.agents.logits}
    if proposals.bev_logits is not None:
        predictions["bev_semantic_map"] = proposals.bev_logits
    return predictions


def losses_of(
    network: PlannerModel, targets: Mapping[str, Tensor], predictions: Mapping[str, Any], weights: ObjectiveWeights
) -> LossTerms:
    """All loss terms, of the first pass alone: so losses of validation, where ``forward`` takes every pass, are comparable.

    Raises ``InputError`` for predictions of another agent.
    """
    proposals = predictions.get(PROPOSED)
    if not isinstance(proposals, Proposals):
        raise InputError(f"The predictions lack '{PROPOSED}'. Hand compute_loss what this agent's own forward returned.")
    truth = planner_targets(targets).to(proposals.poses.device)
    # The network itself, not an inference engine, proposed: it always answers with agents and semantics.
    seen = cast(SceneFeatures, proposals)
    return planner_losses(proposals.passes[0], seen, truth, network.matched_anchors, weights)


def optimizers_of(network: PlannerModel, recipe: Recipe) -> dict[str, Any]:
    """What Lightning's ``configure_optimizers`` returns: AdamW, and its rate where that follows the epochs."""
    # A gradient scaler cannot hand its unscaling to a fused optimiser and clip as well.
    optimizer = build_optimizer(network, recipe.optimizer, fused=False)
    if recipe.optimizer.schedule is Schedule.STEP:
        return {"optimizer": optimizer}
    rate = LearningRate(config=recipe.optimizer, epochs=recipe.epochs, steps_per_epoch=1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: rate.at(epoch) / recipe.optimizer.lr)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}


def callbacks_of(recipe: Recipe) -> list[Any]:
    """Lightning callbacks of the training."""
    return [StepRate(recipe)] if recipe.optimizer.schedule is Schedule.STEP else []


class StepRate(pl.Callback):
    """Sets the learning rate before every step: how many steps an epoch has, only the trainer knows."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Also logs the rate as ``train/lr``."""
        steps = max(1, int(trainer.num_training_batches) // int(trainer.accumulate_grad_batches))
        schedule = LearningRate(config=self._recipe.optimizer, epochs=self._recipe.epochs, steps_per_epoch=steps)
        rate = schedule.at(int(trainer.global_step))
        for optimizer in trainer.optimizers:
            set_rate(optimizer, rate, self._recipe.optimizer)
        pl_module.log("train/lr", rate)
