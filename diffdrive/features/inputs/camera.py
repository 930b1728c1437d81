"""Three front images become one wide one, on the CPU: crop, stitch, resize (see ``stitching`` for the geometry)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.features.inputs.stitching import QUARTER, QUARTER_TAPS, STITCH_ORDER, Stitching, front_images
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.tensors import InputLayout

__all__ = ["STITCH_ORDER", "build_camera"]

# Eight bytes as four lanes of 16 bits: room for sums of four bytes.
_LOW_BYTES = np.uint64(0x00FF_00FF_00FF_00FF)
_HALVES = np.uint64(0x0002_0002_0002_0002)
_MULTIPLES_OF_FOUR = np.uint64(0x03FC_03FC_03FC_03FC)
_SEVEN_BYTES = np.uint64(0x00FF_FFFF_FFFF_FFFF)
_24 = np.uint64(24)


def build_camera(cameras: Mapping[CameraId, CameraFrame], layout: InputLayout) -> Tensor:
    """[3, H, W] float32 RGB in 0..1 from the left-front, front and right-front camera.

    Raises ``InputError`` for a missing camera, images of different sizes, and sizes that the crop does not fit.
    """
    images = front_images(cameras)
    height, width = images[0].shape[:2]
    stitching = Stitching.of((height, width), layout)
    left, front, right = (image[stitching.rows] for image in images)
    crops = [left[:, stitching.outer_columns], front, right[:, stitching.outer_columns]]
    if stitching.samples_quarter:
        return torch.from_numpy(_sample_quarter(crops, stitching.target))
    stitched = torch.from_numpy(np.concatenate(crops, axis=1)).permute(2, 0, 1)
    if stitching.changes_size:
        size = stitching.target
        stitched = F.interpolate(stitched[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    return stitched.contiguous().to(torch.float32).div_(255.0)


def _sample_quarter(crops: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """[3, H, W] float32 in 0..1: the mean of the inner 2 x 2 of every 4 x 4 pixels, rounded to whole grey levels."""
    picture = np.empty((3, *size), np.float32)
    first = 0
    for crop in crops:
        end = first + crop.shape[1] // QUARTER
        # Four times the grey levels, so divided by four times 255: the same number, exactly.
        sums = _rounded_sums(crop)
        for channel, lane in enumerate((0, 2, 1)):
            picture[channel, :, first:end] = sums[..., lane]
        first = end
    picture /= np.float32(4 * 255)
    return picture


def _rounded_sums(crop: np.ndarray) -> np.ndarray:
    """[H/4, W/4, 4] uint16 lanes R, B, G and one of no meaning: the sums of the inner 2 x 2, rounded to multiples of four."""
    rows, columns, _ = crop.shape
    blocks = crop.reshape(rows // QUARTER, QUARTER, columns // QUARTER, QUARTER * 3)
    # Two pixels and two spare bytes make one number: R G B R' G' B' . .
    first = QUARTER_TAPS.start * 3
    pairs = blocks[:, QUARTER_TAPS, :, first : first + 8].view("<u8")[..., 0]
    upper, lower = pairs[:, 0].copy(), pairs[:, 1].copy()
    even = upper & _LOW_BYTES
    even += lower & _LOW_BYTES  # lanes R, B, G', .
    # What the even bytes leave of the whole sum are the odd ones, one byte up: G, R', B'; the spare one is cut off.
    odd = upper
    odd += lower
    odd -= even
    odd &= _SEVEN_BYTES
    sums = even
    sums += odd << _24  # G to the lane of G'
    odd >>= _24  # R' and B' to the lanes of R and B
    sums += odd
    sums += _HALVES
    sums &= _MULTIPLES_OF_FOUR
    return sums.view("<u2").reshape(*sums.shape, 4)
