"""The norm of a gradient and how to clip it, also where FSDP has cut it into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_TINY = 1e-6
"""Keeps a gradient of zeros from dividing by zero; torch's clipping has the same."""


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The 2-norm of all gradients together, a scalar that is equal in all processes that share them."""
    norm: Any = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm


def clip_gradient(parameters: Sequence[nn.Parameter], norm: Tensor, largest: float) -> None:
    """Scale all gradients so that their ``norm`` is at most ``largest``."""
    gradients: list[Any] = [p.grad for p in parameters if p.grad is not None]
    pieces = [gradient.to_local() if hasattr(gradient, "to_local") else gradient for gradient in gradients]
    torch._foreach_mul_(pieces, (largest / (norm + _TINY)).clamp(max=1.0))
