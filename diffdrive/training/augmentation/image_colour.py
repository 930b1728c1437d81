"""Change the colours of pictures: gamma, then hue, saturation, contrast and brightness as one affine map of RGB."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.training.augmentation.some_rows import draw, draw_rows, with_rows_changed
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config.augmentation import ColourConfig

_LUMA = (0.299, 0.587, 0.114)
"""Share of each channel in the grey of a pixel (ITU-R BT.601)."""


def recolour_some(batch: PackedBatch, config: ColourConfig, generator: torch.Generator) -> PackedBatch:
    """Change the colours of some pictures; uint8 before and after, floats between, rounded once."""
    rows = draw_rows(batch, config.probability, generator)
    count, device = len(rows), batch.camera.device
    gamma = draw(count, -math.log1p(config.gamma), math.log1p(config.gamma), generator).exp()
    hue = draw(count, -math.radians(config.hue_deg), math.radians(config.hue_deg), generator)
    saturation, contrast, brightness = (
        draw(count, 1 - reach, 1 + reach, generator) for reach in (config.saturation, config.contrast, config.brightness)
    )
    colours = (brightness * contrast)[:, None, None] * _colour_matrix(hue, saturation)
    pull = brightness * (1 - contrast)
    gamma, colours, pull = (v.to(device, torch.float32) for v in (gamma, colours, pull))
    return with_rows_changed(batch, rows, lambda some: replace(some, camera=_recoloured(some.camera, gamma, colours, pull)))


def _colour_matrix(hue: Tensor, saturation: Tensor) -> Tensor:
    """[N, 3, 3] of RGB columns: turn by ``hue`` [N] around the grey axis, then scale the distance from grey."""
    cos, sin = hue.cos()[:, None, None], hue.sin()[:, None, None]
    grey = torch.full((3, 3), 1 / 3, dtype=hue.dtype)
    # The cross product with the unit vector along the grey axis (Rodrigues).
    across = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=hue.dtype) / math.sqrt(3)
    turned = cos * torch.eye(3, dtype=hue.dtype) + (1 - cos) * grey + sin * across
    share = saturation[:, None, None]
    mixed = share * torch.eye(3, dtype=hue.dtype) + (1 - share) * torch.tensor(_LUMA, dtype=hue.dtype).expand(3, 3)
    return mixed @ turned


def _recoloured(camera: Tensor, gamma: Tensor, colours: Tensor, pull: Tensor) -> Tensor:
    """``camera`` [N, H, W, 3] uint8; ``pull`` [N] is how much of the picture's mean grey is added."""
    count, height, width, _ = camera.shape
    levels = torch.arange(256, device=camera.device, dtype=torch.float32) / 255
    # Only 256 levels can occur, so powers are looked up.
    curve = 255 * levels ** gamma[:, None]  # [N, 256]
    planes = camera.permute(0, 3, 1, 2).reshape(count, -1).int()
    planes += 256 * torch.arange(count, device=camera.device, dtype=torch.int32)[:, None]
    channels = curve.flatten().index_select(0, planes.flatten()).view(count, 3, -1)
    grey = channels.mean(dim=2) @ channels.new_tensor(_LUMA)
    offset = (pull * grey)[:, None, None].expand(-1, 3, 1)
    changed = torch.baddbmm(offset, colours, channels).round_().clamp_(0, 255).to(torch.uint8)
    return changed.view(count, 3, height, width).permute(0, 2, 3, 1).contiguous()
