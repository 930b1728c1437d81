"""Three front images become one wide one: crop, stitch left | front | right, resize.

The crop is stated in 1080p pixels and scales with the image, so that every 16:9 size that scales it to whole pixels shows
the network the same part of the world. From 1920 x 1080 to 1024 x 256, the sizes of the public TransFuser and DiffusionDrive
models for NAVSIM, pixels are sampled as those models sample them: bilinear at the cell centre, without smoothing. Every other
change of size is smoothed (antialiased bilinear), because an aliased picture has no merit where no weights were trained on it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.tensors import InputLayout

STITCH_ORDER = (CameraId.L0, CameraId.F0, CameraId.R0)
"""Left to right in the stitched image."""

CROP_ROWS_1080P = 28
"""Rows cut from the top and from the bottom of every image, pixels of a 1920 x 1080 image."""

CROP_COLUMNS_1080P = 416
"""Columns cut from both sides of the two outer images, likewise."""

# The crops are whole pixels at quarters of 1080p and at nothing smaller.
_UNIT_HEIGHT, _UNIT_WIDTH, _UNITS_1080P = 270, 480, 4
_REFERENCE_FACTOR = 4
_REFERENCE_HEIGHT = 256


def build_camera(cameras: Mapping[CameraId, CameraFrame], layout: InputLayout) -> Tensor:
    """[3, H, W] float32 RGB in 0..1 from the left-front, front and right-front camera.

    Raises ``InputError`` for a missing camera, images of different sizes, and sizes that the crop does not fit.
    """
    missing = [camera.value for camera in STITCH_ORDER if camera not in cameras]
    if missing:
        given = ", ".join(sorted(camera.value for camera in cameras)) or "none"
        raise InputError(
            f"The planner needs the cameras l0, f0 and r0, but {', '.join(missing)} is missing (given: {given}). "
            "Load the scene with sensors, from a source that has these cameras."
        )
    images = [cameras[camera].image for camera in STITCH_ORDER]
    crops = _crop(images, _units(images))
    if _is_reference_scale(crops, layout):
        crops = [_sample_quarter(crop) for crop in crops]
    stitched = torch.from_numpy(np.concatenate(crops, axis=1)).permute(2, 0, 1)
    if stitched.shape[1:] != (layout.camera_height, layout.camera_width):
        size = (layout.camera_height, layout.camera_width)
        stitched = F.interpolate(stitched[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    return stitched.contiguous().to(torch.float32).div_(255.0)


def _units(images: list[np.ndarray]) -> int:
    """How many quarters of 1080p the images measure."""
    sizes = [(image.shape[1], image.shape[0]) for image in images]
    if len(set(sizes)) > 1:
        text = ", ".join(f"{camera.value} {w} x {h}" for camera, (w, h) in zip(STITCH_ORDER, sizes, strict=True))
        raise InputError(f"The three images must have one size, got {text}. Resize them to a common one, e.g. 1920 x 1080.")
    width, height = sizes[0]
    units, rest = divmod(height, _UNIT_HEIGHT)
    if rest or units < 1 or width != units * _UNIT_WIDTH:
        allowed = ", ".join(f"{n * _UNIT_WIDTH} x {n * _UNIT_HEIGHT}" for n in (1, 2, 4, 8))
        raise InputError(
            f"Images of {width} x {height} cannot be cropped: the size must be a multiple of {_UNIT_WIDTH} x {_UNIT_HEIGHT} "
            f"(for example {allowed}), so that the crop falls on whole pixels. Resize the images first."
        )
    return units


def _crop(images: list[np.ndarray], units: int) -> list[np.ndarray]:
    rows = CROP_ROWS_1080P * units // _UNITS_1080P
    columns = CROP_COLUMNS_1080P * units // _UNITS_1080P
    left, front, right = (image[rows:-rows] for image in images)
    return [left[:, columns:-columns], front, right[:, columns:-columns]]


def _is_reference_scale(crops: list[np.ndarray], layout: InputLayout) -> bool:
    return layout.camera_height == _REFERENCE_HEIGHT and crops[0].shape[0] == _REFERENCE_FACTOR * _REFERENCE_HEIGHT


def _sample_quarter(crop: np.ndarray) -> np.ndarray:
    """Bilinear at a quarter of the size: the sample falls between the inner two of four pixels, along both axes."""
    top, bottom = crop[1::4], crop[2::4]
    total = np.full((top.shape[0], crop.shape[1] // 4, 3), 2, dtype=np.uint16)
    for rows in (top, bottom):
        total += rows[:, 1::4]
        total += rows[:, 2::4]
    return (total >> 2).astype(np.uint8)
