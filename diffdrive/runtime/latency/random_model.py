"""A network with weights from a seed: as slow as a trained one, and it needs no file."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.model import PlannerConfig, PlannerModel

_TOP_SPEED_MPS = 15.0
_LARGEST_YAW_RATE = 0.3


def random_planner(config: PlannerConfig, seed: int = 0) -> PlannerModel:
    """The network of ``config`` with every weight drawn from ``seed``, in evaluation state. It plans nonsense.

    No weight is left at a constant that initialisation likes (zeros, ones), so every part of the network shows in its
    outputs; activations keep their scale from layer to layer. Touches no global generator.
    """
    with torch.random.fork_rng(devices=[]):
        model = PlannerModel(config, anchor_fan(config))
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name, value in state.items():
        if name != "anchors" and value.is_floating_point():
            value.copy_(_drawn(name, value, generator))
    return model.eval()


def anchor_fan(config: PlannerConfig) -> Tensor:
    """[M, T, 2] metres: arcs of constant speed and yaw rate, from slow to fast and from right to left."""
    modes, poses, _ = config.anchor_shape
    index = torch.arange(modes)
    speed = _TOP_SPEED_MPS * (index + 1) / modes
    yaw_rate = _LARGEST_YAW_RATE * ((index % 5) - 2.0) / 2.0
    times = config.targets.interval_s * torch.arange(1, poses + 1)
    half_turn = yaw_rate[:, None] * times / 2
    chord = speed[:, None] * times * torch.sinc(half_turn / math.pi)
    return torch.stack((chord * half_turn.cos(), chord * half_turn.sin()), dim=-1)


def _drawn(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    normal = torch.randn(value.shape, generator=generator)
    if name.endswith("running_var"):
        return 0.75 + 0.5 * torch.rand(value.shape, generator=generator)
    if name.endswith("running_mean"):
        return 0.1 * normal
    if value.ndim == 1:
        return (1.0 if name.endswith("weight") else 0.0) + 0.05 * normal
    if "_embedding" in name or "pos_emb" in name:
        return 0.5 * normal
    return normal / math.sqrt(math.prod(value.shape[1:]))
