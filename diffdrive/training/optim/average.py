"""The running average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from diffdrive.contracts import InputError


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
