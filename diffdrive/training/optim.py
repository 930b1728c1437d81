"""The optimiser, its learning rate as a pure function of progress, and the running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffdrive.contracts import InputError
from diffdrive.training.config import OptimizerConfig, Schedule


def build_optimizer(model: nn.Module, config: OptimizerConfig, *, fused: bool = True) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, with and without weight decay as ``config`` says."""
    decayed, free = split_by_decay(model, decay_all=config.decay_all)
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((decayed, config.weight_decay), (free, 0.0))
        if parameters
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=fused)


def split_by_decay(model: nn.Module, *, decay_all: bool) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Trainable parameters that weight decay applies to, and those it leaves alone: vectors (biases, norms) and embeddings."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_free = parameter.ndim <= 1 or id(parameter) in embeddings or "pos_emb" in name
        (free if is_free and not decay_all else decayed).append(parameter)
    return decayed, free


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """Linear warm-up, then half a cosine from ``config.lr`` to ``config.min_lr``."""

    config: OptimizerConfig
    epochs: int
    steps_per_epoch: int

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise InputError("The training set is smaller than one batch: lower data.batch_size or add scenes.")

    def at(self, step: int, *, elapsed_fraction: float = 0.0) -> float:
        """The rate of optimiser step ``step`` (0 is the first).

        ``elapsed_fraction`` of the allowed time replaces the share of steps done where it is larger.
        """
        if self.config.schedule is Schedule.EPOCH:
            position, unit = float(step // self.steps_per_epoch), 1
        else:
            position, unit = float(step), self.steps_per_epoch
        warmup, total = self.config.warmup_epochs * unit, self.epochs * unit
        if position + 1 <= warmup:
            return self.config.lr * (position + 1) / warmup
        progress = max((position - warmup) / max(total - warmup, 1), elapsed_fraction)
        swing = 0.5 * (1.0 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
        return self.config.min_lr + (self.config.lr - self.config.min_lr) * swing


class WeightAverage:
    """An exponential moving average of a module's floating-point state; integer state is copied.

    The decay ramps up as (1 + n) / (10 + n), so that the first steps do not remember the random initialisation.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.num_updates = 0
        self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the present weights."""
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        averages: list[Tensor] = []
        current: list[Tensor] = []
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                averages.append(self.state[name])
                current.append(tensor)
            else:
                self.state[name].copy_(tensor)
        torch._foreach_lerp_(averages, current, 1.0 - decay)

    def to(self, device: torch.device) -> None:
        """Move the average to where the model trains."""
        self.state = {name: tensor.to(device) for name, tensor in self.state.items()}

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint; ``load_dict`` undoes it."""
        return {"num_updates": self.num_updates, "state": self.state}

    def load_dict(self, saved: dict[str, Any]) -> None:
        """Raises ``InputError`` when ``saved`` belongs to another module."""
        if set(saved["state"]) != set(self.state):
            raise InputError(
                "The saved weight average belongs to another network. Resume with the checkpoint's own config.yaml."
            )
        self.num_updates = int(saved["num_updates"])
        self.state = {name: saved["state"][name].clone() for name in self.state}

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Inside the context ``model`` has the averaged weights."""
        trained = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.state)
        try:
            yield
        finally:
            model.load_state_dict(trained)
