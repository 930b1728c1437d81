"""Cut rectangles out of pictures, so that no single part of a picture is needed (DeVries and Taylor 2017)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.training.augmentation.filling import filled
from diffdrive.training.augmentation.some_rows import draw, draw_rows, with_rows_changed
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config.augmentation import CutOutConfig


def cut_out_some(batch: PackedBatch, config: CutOutConfig, generator: torch.Generator) -> PackedBatch:
    """Fill rectangles of some pictures. Their centres lie anywhere in the picture, so they may reach over its edge."""
    rows = draw_rows(batch, config.probability, generator)
    holes = _draw_holes(len(rows), config, batch.camera.shape[1], batch.camera.shape[2], generator).to(batch.camera.device)

    def cut(some: PackedBatch) -> PackedBatch:
        return replace(some, camera=filled(some.camera, _inside(holes, some.camera), config.fill, generator))

    return with_rows_changed(batch, rows, cut)


def _draw_holes(count: int, config: CutOutConfig, height: int, width: int, generator: torch.Generator) -> Tensor:
    """[N, K, 4] first row, row after the last, first column, column after the last, in pixels; unused ones are empty."""
    shape, most = (count, config.max_rectangles), count * config.max_rectangles
    number = torch.randint(1, config.max_rectangles + 1, (count, 1), generator=generator)
    used = torch.arange(config.max_rectangles) < number
    sides = [draw(most, config.min_side * height, config.max_side * height, generator).view(shape) * used for _ in range(2)]
    middles = [draw(most, 0, length, generator).view(shape) for length in (height, width)]
    edges = [middle + sign * side / 2 for middle, side in zip(middles, sides, strict=True) for sign in (-1, 1)]
    return torch.stack(edges, dim=-1).float()


def _inside(holes: Tensor, camera: Tensor) -> Tensor:
    """[N, H, W] bool: which pixel centres lie in one of ``holes`` [N, K, 4]."""
    row = torch.arange(camera.shape[1], device=camera.device) + 0.5
    column = torch.arange(camera.shape[2], device=camera.device) + 0.5
    in_rows = (row >= holes[..., 0, None]) & (row < holes[..., 1, None])  # [N, K, H]
    in_columns = (column >= holes[..., 2, None]) & (column < holes[..., 3, None])
    return (in_rows[..., None] & in_columns[..., None, :]).any(dim=1)
