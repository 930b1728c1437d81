"""Which pixels of the three front images make the wide one: crop, and stitch left | front | right.

The crop is stated in 1080p pixels and scales with the image, so that every 16:9 size that scales it to whole pixels shows
the network the same part of the world. From 1920 x 1080 to 1024 x 256, the sizes of the public TransFuser and DiffusionDrive
models for NAVSIM, pixels are sampled as those models sample them: bilinear at the cell centre, without smoothing. Every other
change of size is smoothed (antialiased bilinear), because an aliased picture has no merit where no weights were trained on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.tensors import InputLayout

STITCH_ORDER = (CameraId.L0, CameraId.F0, CameraId.R0)
"""Left to right in the stitched image."""

CROP_ROWS_1080P = 28
"""Rows cut from the top and from the bottom of every image, pixels of a 1920 x 1080 image."""

CROP_COLUMNS_1080P = 416
"""Columns cut from both sides of the two outer images, likewise."""

QUARTER = 4
"""Pixels of the crop for one of the network's, along both axes, at the scale of the public models."""

QUARTER_TAPS = slice(1, 3)
"""Of each four, the two whose mean is the bilinear sample at the centre of the four."""

# The crops are whole pixels at quarters of 1080p and at nothing smaller.
_UNIT_HEIGHT, _UNIT_WIDTH, _UNITS_1080P = 270, 480, 4
_REFERENCE_HEIGHT = 256


def front_images(cameras: Mapping[CameraId, CameraFrame]) -> list[np.ndarray]:
    """The images [H, W, 3] uint8 in ``STITCH_ORDER``. Raises ``InputError`` for a missing one and for different sizes."""
    missing = [camera.value for camera in STITCH_ORDER if camera not in cameras]
    if missing:
        given = ", ".join(sorted(camera.value for camera in cameras)) or "none"
        raise InputError(
            f"The planner needs the cameras l0, f0 and r0, but {', '.join(missing)} is missing (given: {given}). "
            "Load the scene with sensors, from a source that has these cameras."
        )
    images = [cameras[camera].image for camera in STITCH_ORDER]
    if len({image.shape for image in images}) > 1:
        text = ", ".join(
            f"{camera.value} {image.shape[1]} x {image.shape[0]}" for camera, image in zip(STITCH_ORDER, images, strict=True)
        )
        raise InputError(f"The three images must have one size, got {text}. Resize them to a common one, e.g. 1920 x 1080.")
    return images


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitching:
    """How images of one size become the input of one layout."""

    rows: slice
    """Of every image."""

    outer_columns: slice
    """Of the left and the right image. Of the front image all columns are used."""

    height: int
    width: int
    """Of the stitched image, before its size is changed."""

    target: tuple[int, int]
    """Rows and columns of the network's image."""

    samples_quarter: bool
    """Sampled as the public models sample (``QUARTER``); else smoothed to ``target``."""

    @classmethod
    def of(cls, image_size: tuple[int, int], layout: InputLayout) -> Stitching:
        """For images of ``image_size`` (rows, columns). Raises ``InputError`` for a size that the crop does not fit."""
        image_height, image_width = image_size
        units = _units(image_height, image_width)
        rows = CROP_ROWS_1080P * units // _UNITS_1080P
        columns = CROP_COLUMNS_1080P * units // _UNITS_1080P
        height = image_height - 2 * rows
        return cls(
            rows=slice(rows, image_height - rows),
            outer_columns=slice(columns, image_width - columns),
            height=height,
            width=3 * image_width - 4 * columns,
            target=(layout.camera_height, layout.camera_width),
            samples_quarter=layout.camera_height == _REFERENCE_HEIGHT and height == QUARTER * _REFERENCE_HEIGHT,
        )

    @property
    def changes_size(self) -> bool:
        """False where the stitched image already has the network's size."""
        return (self.height, self.width) != self.target


def _units(height: int, width: int) -> int:
    """How many quarters of 1080p an image measures."""
    units, rest = divmod(height, _UNIT_HEIGHT)
    if rest or units < 1 or width != units * _UNIT_WIDTH:
        allowed = ", ".join(f"{n * _UNIT_WIDTH} x {n * _UNIT_HEIGHT}" for n in (1, 2, 4, 8))
        raise InputError(
            f"Images of {width} x {height} cannot be cropped: the size must be a multiple of {_UNIT_WIDTH} x {_UNIT_HEIGHT} "
            f"(for example {allowed}), so that the crop falls on whole pixels. Resize the images first."
        )
    return units
