"""Planners with weights that show what a rearrangement forgets, and requests for them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffdrive.model import PlannerConfig, PlannerModel
from diffdrive.tensors import PlannerInputs


def scrambled(config: PlannerConfig, seed: int = 0) -> PlannerModel:
    """No weight is zero or one and no batch norm idle: what a rearrangement forgets shows."""
    generator = torch.Generator().manual_seed(seed)
    anchors = torch.rand(config.anchor_shape, generator=generator) * torch.tensor([40.0, 16.0]) - torch.tensor([0.0, 8.0])
    model = PlannerModel(config, anchors)
    for name, value in model.state_dict().items():
        if not value.is_floating_point() or name == "anchors":
            continue
        draw = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            draw = 0.75 + 0.5 * torch.rand(value.shape, generator=generator)
        elif value.ndim > 1:
            draw = draw / math.sqrt(math.prod(value.shape[1:]))
        else:
            draw = (1.0 if name.endswith("weight") else 0.0) + 0.1 * draw
        value.copy_(draw)
    return model.eval().requires_grad_(False)


def request(config: PlannerConfig, batch: int, seed: int = 1) -> tuple[PlannerInputs, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    layout = config.inputs
    inputs = PlannerInputs(
        camera=torch.rand(batch, 3, layout.camera_height, layout.camera_width, generator=generator),
        lidar=torch.rand(batch, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
        status=torch.rand(batch, 8, generator=generator),
    )
    return inputs, torch.randn(batch, *config.noise_shape, generator=generator)
