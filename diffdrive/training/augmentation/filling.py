"""What a picture shows where it shows nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.training.augmentation.some_rows import generator_on
from diffdrive.training.config.augmentation import Fill


def filled(camera: Tensor, holes: Tensor, fill: Fill, generator: torch.Generator) -> Tensor:
    """``camera`` [B, H, W, 3] uint8 with something else in ``holes`` [B, H, W] (bool)."""
    hole = holes[..., None].to(torch.uint8)
    # Sums and products of bytes: choosing by a mask that all channels share is ten times as slow.
    return camera * (1 - hole) + _filling(camera, fill, generator) * hole


def _filling(camera: Tensor, fill: Fill, generator: torch.Generator) -> Tensor:
    """uint8, broadcasts to ``camera``. The noise is the same in all pictures of the batch."""
    if fill is Fill.MEAN:
        return camera.float().mean(dim=(1, 2), keepdim=True).round().to(torch.uint8)
    own = generator_on(camera.device, generator)
    return torch.randint(256, camera.shape[1:], generator=own, dtype=torch.uint8, device=camera.device)[None]
