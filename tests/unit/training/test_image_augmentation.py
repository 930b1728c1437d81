"""Colours and cut-outs: what they do to a picture, and that nothing is left when they do nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from packed_noise import packed_noise

from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.augmentation.cut_out import cut_out_some
from diffdrive.training.augmentation.image_colour import recolour_some
from diffdrive.training.config.augmentation import ColourConfig, CutOutConfig, Fill

INPUTS = InputLayout(camera_height=32, camera_width=128, lidar_pixels=32)
BATCH = packed_noise(64, INPUTS, TargetLayout(bev_rows=8, bev_columns=16, bev_pixel_m=4.0))
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "gamma": 0.0, "hue_deg": 0.0}


def recoloured(**values: float) -> torch.Tensor:
    config = ColourConfig(probability=1.0, **{**STILL, **values})
    return recolour_some(BATCH, config, torch.Generator().manual_seed(0)).camera.double()


def greys(picture: torch.Tensor) -> torch.Tensor:
    return picture @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.double)


def test_colours_that_do_not_change_are_the_same_bytes() -> None:
    assert torch.equal(recoloured(), BATCH.camera.double())


def test_brightness_scales_contrast_spreads_saturation_keeps_the_grey() -> None:
    before = BATCH.camera.double()
    ratio = recoloured(brightness=0.3).sum(dim=(1, 2, 3)) / before.sum(dim=(1, 2, 3))
    assert ratio.min() < 0.8 and ratio.max() > 1.1 and ratio.max() < 1.3
    contrast = recoloured(contrast=0.3)
    spread = contrast.std(dim=(1, 2, 3)) / before.std(dim=(1, 2, 3))
    assert spread.min() < 0.8 and spread.max() > 1.1
    assert (contrast.mean(dim=(1, 2, 3)) - before.mean(dim=(1, 2, 3))).abs().max() < 4
    faded = recoloured(saturation=0.9)
    unclipped = (faded > 0).all(dim=-1) & (faded < 255).all(dim=-1)
    assert (greys(faded) - greys(before)).abs()[unclipped].max() < 1.0
    assert (faded - before).abs().mean() > 5


def test_gamma_is_monotonous_and_keeps_black_and_white() -> None:
    before, after = BATCH.camera.flatten(1), recoloured(gamma=0.5).flatten(1)
    for old, new in zip(before, after, strict=True):
        order = old.long().argsort()
        assert (new[order].diff() >= 0).all()
    assert (after[before == 0] == 0).all() and (after[before == 255] == 255).all()
    assert (after - before).abs().max() > 20


def test_hue_turns_colours_and_leaves_greys() -> None:
    grey = BATCH.camera[..., :1].expand(-1, -1, -1, 3).contiguous()
    config = ColourConfig(probability=1.0, **{**STILL, "hue_deg": 30.0})
    made = recolour_some(replace(BATCH, camera=grey), config, torch.Generator().manual_seed(0)).camera
    assert (made.int() - grey.int()).abs().max() <= 1
    red = torch.zeros_like(grey)
    red[..., 0] = 200
    turned = recolour_some(replace(BATCH, camera=red), config, torch.Generator().manual_seed(0)).camera
    assert (turned[..., 0] > 150).all(), "a red signal stays red"
    assert turned[..., 1:].amax() > 30


@pytest.mark.parametrize("fill", list(Fill))
def test_cut_outs_are_rectangles_of_the_asked_size(fill: Fill) -> None:
    config = CutOutConfig(probability=1.0, max_rectangles=1, min_side=0.25, max_side=0.5, fill=fill)
    cut = cut_out_some(BATCH, config, torch.Generator().manual_seed(0)).camera
    # Noise may hit the old value in one channel, hardly in three.
    hole = (cut != BATCH.camera).any(dim=-1)
    for picture, where, old in zip(cut, hole, BATCH.camera, strict=True):
        rows, columns = where.any(dim=1).nonzero()[:, 0], where.any(dim=0).nonzero()[:, 0]
        height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        assert where.sum() > 0.98 * height * width, "a whole rectangle"
        # It may reach over the edge, but its middle does not.
        assert 3 <= height <= 17 and 3 <= width <= 17
        if fill is Fill.MEAN:
            mean = old.float().mean(dim=(0, 1)).round()
            assert (picture[where].float() == mean).all()


def test_there_are_at_most_as_many_holes_as_asked_for() -> None:
    config = CutOutConfig(probability=1.0, max_rectangles=3, min_side=0.2, max_side=0.2)
    cut = cut_out_some(BATCH, config, torch.Generator().manual_seed(0)).camera
    pixels = (cut != BATCH.camera).any(dim=-1).sum(dim=(1, 2))
    side = 7  # 6.4 pixels cover at most seven centres
    assert pixels.max() > 1.5 * side * side * 0.7 and pixels.max() <= 3 * side * side and pixels.min() > 0
