"""sensor_msgs CameraInfo to a pinhole matrix for images without distortion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """A pinhole camera."""

    width: int
    height: int
    """Pixels of its images."""

    intrinsics: np.ndarray
    """[3, 3] pixels."""

    image_from_optical: np.ndarray
    """[3, 3] rotation from the camera's optical frame to the frame in which its images are a pinhole's."""


def lens_of(message: Any, *, is_rectified: bool) -> Lens:
    """Of a sensor_msgs/CameraInfo. The images are the rectified ones (``is_rectified``: matrix P, rotation R) or raw ones (K).

    Raises ``InputError`` for an uncalibrated camera, raw images with distortion, and images that are cut or binned.
    """
    region = message.roi
    if int(message.binning_x) > 1 or int(message.binning_y) > 1 or int(region.width) or int(region.height):
        raise InputError("CameraInfo tells of a cut (roi) or binned image. Publish whole images, calibrated as they are.")
    distortion = np.asarray(message.d, dtype=np.float64)
    if not is_rectified and np.any(distortion != 0):
        raise InputError(
            f"Raw images of this camera are distorted ({message.distortion_model}, D = {distortion.tolist()}). Subscribe to "
            "the rectified image (image_proc's image_rect) and set is_rectified."
        )
    matrix, rotation = np.asarray(message.k, dtype=np.float64).reshape(3, 3), np.eye(3)
    if is_rectified:
        matrix = np.asarray(message.p, dtype=np.float64).reshape(3, 4)[:, :3]
        rotation = np.asarray(message.r, dtype=np.float64).reshape(3, 3)
    if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise InputError(f"CameraInfo holds no calibration: its {'P' if is_rectified else 'K'} is {matrix.tolist()}.")
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6):
        raise InputError(f"CameraInfo's R is no rotation: {rotation.tolist()}.")
    return Lens(width=int(message.width), height=int(message.height), intrinsics=matrix, image_from_optical=rotation)


def check_size(lens: Lens, image: np.ndarray) -> None:
    """Raise ``InputError`` where ``image`` [H, W, 3] has another size than the camera was calibrated for."""
    height, width = image.shape[:2]
    if (width, height) != (lens.width, lens.height):
        raise InputError(
            f"The image has {width} x {height} pixels, but the camera is calibrated for {lens.width} x {lens.height}. "
            "Publish the CameraInfo of the resized image."
        )
