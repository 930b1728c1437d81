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

_BLOCK = 32
"""Rows of the network's image that are made at once; they divide its height."""


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
    stitched = np.concatenate(crops, axis=1)
    if stitching.changes_size:
        stitched = _smooth(stitched, stitching.target)
    # In numpy, not torch: work this small is not worth waiting for a second thread, long where other programs hold the cores.
    picture = stitched.transpose(2, 0, 1).astype(np.float32, order="C")
    picture /= np.float32(255)
    return torch.from_numpy(picture)


def _smooth(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W, 3] uint8 of ``size``, antialiased."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
    resized = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def _sample_quarter(crops: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """[3, H, W] float32 in 0..1: the mean of the inner 2 x 2 of every 4 x 4 pixels, rounded to whole grey levels."""
    height, width = size
    pairs = [_pairs(crop) for crop in crops]
    picture = np.empty((3, height, width), np.float32)
    # A few rows at a time in the same memory: it stays in the cache, and the system need not find new pages for every image.
    upper, lower, even = np.empty((3, _BLOCK, width), np.uint64)
    for top in range(0, height, _BLOCK):
        rows = slice(top, top + _BLOCK)
        np.concatenate([pair[rows, 0] for pair in pairs], axis=1, out=upper)
        np.concatenate([pair[rows, 1] for pair in pairs], axis=1, out=lower)
        lanes = _rounded_sums(upper, lower, even).view("<u2").reshape(_BLOCK, width, 4)
        for channel, lane in enumerate((0, 2, 1)):
            picture[channel, rows] = lanes[..., lane]
        # Four times the grey levels, so divided by four times 255: the same number, exactly.
        picture[:, rows] /= np.float32(4 * 255)
    return picture


def _pairs(crop: np.ndarray) -> np.ndarray:
    """[H/4, 2, W/4] of the inner 2 x 2 pixels: two pixels and two spare bytes make one number, R G B R' G' B' . ."""
    rows, columns, _ = crop.shape
    blocks = crop.reshape(rows // QUARTER, QUARTER, columns // QUARTER, QUARTER * 3)
    first = QUARTER_TAPS.start * 3
    pairs: np.ndarray = blocks[:, QUARTER_TAPS, :, first : first + 8].view("<u8")[..., 0]
    return pairs


def _rounded_sums(upper: np.ndarray, lower: np.ndarray, even: np.ndarray) -> np.ndarray:
    """Lanes R, B, G and one of no meaning: the sums of two pairs, rounded to multiples of four. Overwrites all three."""
    np.bitwise_and(upper, _LOW_BYTES, out=even)
    total = np.add(upper, lower, out=upper)
    lower &= _LOW_BYTES
    even += lower  # lanes R, B, G', .
    # What the even bytes leave of the whole sum are the odd ones, one byte up: G, R', B'; the spare one is cut off.
    odd = np.subtract(total, even, out=total)
    odd &= _SEVEN_BYTES
    even += np.left_shift(odd, _24, out=lower)  # G to the lane of G'
    odd >>= _24  # R' and B' to the lanes of R and B
    even += odd
    even += _HALVES
    even &= _MULTIPLES_OF_FOUR
    return even
