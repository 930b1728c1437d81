"""Take points away from the LiDAR histogram: everywhere, in cells of their own, or in a sector.

A histogram tells counts up to ``InputLayout.lidar_max_count``. A full cell may hold more points than it says; thinning takes
it for exactly full, so near surfaces thin out a little sooner than they would.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.training.augmentation.some_rows import draw, draw_rows, generator_on, with_rows_changed
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config.augmentation import LidarDropOutConfig


def drop_lidar_some(batch: PackedBatch, config: LidarDropOutConfig, generator: torch.Generator) -> PackedBatch:
    """Thin, riddle and blind the LiDAR of some samples each."""
    batch = _thinned_some(batch, config, generator)
    batch = _riddled_some(batch, config, generator)
    return _blinded_some(batch, config, generator)


def _thinned_some(batch: PackedBatch, config: LidarDropOutConfig, generator: torch.Generator) -> PackedBatch:
    rows = draw_rows(batch, config.thinning_probability, generator)
    kept = 1 - draw(len(rows), 0.0, config.max_thinning, generator)
    chance = kept.to(batch.lidar.device, torch.float32)[:, None, None, None]

    def thin(some: PackedBatch) -> PackedBatch:
        own = generator_on(some.lidar.device, generator)
        counts = some.lidar.float()
        return replace(some, lidar=torch.binomial(counts, chance.expand_as(counts), generator=own).to(torch.uint8))

    return with_rows_changed(batch, rows, thin)


def _riddled_some(batch: PackedBatch, config: LidarDropOutConfig, generator: torch.Generator) -> PackedBatch:
    rows = draw_rows(batch, config.cells_probability, generator)
    share = draw(len(rows), 0.0, config.max_cells, generator).to(batch.lidar.device, torch.float32)

    def riddle(some: PackedBatch) -> PackedBatch:
        own = generator_on(some.lidar.device, generator)
        luck = torch.rand(len(some), 1, *some.lidar.shape[2:], generator=own, device=some.lidar.device)
        return replace(some, lidar=some.lidar * (luck >= share[:, None, None, None]))

    return with_rows_changed(batch, rows, riddle)


def _blinded_some(batch: PackedBatch, config: LidarDropOutConfig, generator: torch.Generator) -> PackedBatch:
    rows = draw_rows(batch, config.sector_probability, generator)
    middle = draw(len(rows), -math.pi, math.pi, generator)
    half = draw(len(rows), 0.0, math.radians(config.max_sector_deg) / 2, generator)

    def blind(some: PackedBatch) -> PackedBatch:
        towards = torch.stack([middle.cos(), middle.sin()]).to(some.lidar.device, torch.float32)
        limit = half.cos().to(some.lidar.device, torch.float32)
        return replace(some, lidar=some.lidar * (_cosines(towards, some.lidar) <= limit[:, None, None])[:, None])

    return with_rows_changed(batch, rows, blind)


def _cosines(towards: Tensor, lidar: Tensor) -> Tensor:
    """[N, Hl, Wl] of the angle between each cell's centre, seen from the rear axle, and the directions ``towards`` [2, N]."""
    x, y = (torch.arange(size, device=lidar.device) + 0.5 - size / 2 for size in lidar.shape[2:])
    along = towards[0, :, None, None] * x[:, None] + towards[1, :, None, None] * y
    return (along / torch.hypot(x[:, None], y)).clamp(max=1.0)
