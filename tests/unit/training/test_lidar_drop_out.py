"""What LiDAR drop-out takes away, and from where."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from packed_noise import packed_noise

from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.augmentation.lidar_drop_out import drop_lidar_some
from diffdrive.training.config.augmentation import LidarDropOutConfig

INPUTS = InputLayout(camera_height=32, camera_width=128, lidar_pixels=64)
BATCH = packed_noise(48, INPUTS, TargetLayout(bev_rows=8, bev_columns=16, bev_pixel_m=4.0))
FULL = replace(BATCH, lidar=torch.full_like(BATCH.lidar, 5))


def dropped(batch: object = FULL, **values: float) -> torch.Tensor:
    config = LidarDropOutConfig(**values)
    return drop_lidar_some(batch, config, torch.Generator().manual_seed(0)).lidar  # type: ignore[arg-type]


def test_nothing_is_ever_added() -> None:
    made = dropped(BATCH, thinning_probability=1.0, cells_probability=1.0, sector_probability=1.0)
    assert (made <= BATCH.lidar).all() and (made < BATCH.lidar).any()


def test_drop_out_of_nothing_changes_nothing() -> None:
    values = {"thinning_probability": 1.0, "cells_probability": 1.0, "sector_probability": 1.0}
    assert torch.equal(dropped(BATCH, **values, max_thinning=0.0, max_cells=0.0, max_sector_deg=0.0), BATCH.lidar)


def test_thinning_is_binomial_at_a_rate_of_each_sample() -> None:
    made = dropped(thinning_probability=1.0, max_thinning=0.8).double()
    kept = made.mean(dim=(1, 2, 3)) / 5
    assert kept.min() > 0.18 and kept.min() < 0.35 and kept.max() > 0.9
    # The variance of five draws with this chance, which sparing or emptying whole cells would not have.
    assert ((made.var(dim=(1, 2, 3)) - 5 * kept * (1 - kept)).abs() < 0.1).all()


def test_cells_are_emptied_whole_and_at_random_places() -> None:
    made = dropped(cells_probability=1.0, max_cells=0.5)
    assert set(made.unique().tolist()) == {0, 5}
    share = (made == 0).double().mean(dim=(1, 2, 3))
    assert share.max() > 0.4 and share.max() < 0.52 and share.min() < 0.1
    halves = (made == 0).double()
    assert ((halves[:, :, :32].mean(dim=(1, 2, 3)) - halves[:, :, 32:].mean(dim=(1, 2, 3))).abs() < 0.06).all()


def test_a_sector_is_blind_and_nothing_else() -> None:
    made = dropped(sector_probability=1.0, max_sector_deg=90.0)
    centre = (torch.arange(64, dtype=torch.double) + 0.5) - 32
    angle = torch.atan2(centre[None, :], centre[:, None])  # of row = x and column = y
    widths = []
    for sample in made[:, 0]:
        gone = angle[sample == 0]
        if len(gone) == 0:
            continue
        inside = math.atan2(float(gone.sin().mean()), float(gone.cos().mean()))
        off = (angle - inside + math.pi).remainder(2 * math.pi) - math.pi
        first, last = float(off[sample == 0].min()), float(off[sample == 0].max())
        widths.append(math.degrees(last - first))
        # Up to a cell at the rim, all between is gone.
        assert (sample[(off > first + 0.05) & (off < last - 0.05)] == 0).all()
    assert max(widths) > 60 and max(widths) < 95 and len(widths) > 40
