"""AlpaSim's images as the planner's camera frames: which camera is which, of what size, and how it is taken to look.

Names: ``CAM_*`` in nuPlan's scenes, ``camera_*fov`` in those of NVIDIA's Physical AI data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from diffdrive.contracts import InputError
from diffdrive.features.inputs.stitching import STITCH_ORDER
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, RIG_SCALE, rig_at

CAMERAS: Mapping[str, CameraId] = {
    "cam_l0": CameraId.L0,
    "cam_f0": CameraId.F0,
    "cam_r0": CameraId.R0,
    "camera_cross_left_120fov": CameraId.L0,
    "camera_front_wide_120fov": CameraId.F0,
    "camera_cross_right_120fov": CameraId.R0,
}
"""By their names in lower case."""

FULL_SIZE = (1080, 1920)
"""Rows and columns of nuPlan's images, to which a size is brought that the crop does not fit."""

_UNIT_ROWS = FULL_SIZE[0] // 4


def cameras_of(names: Sequence[str]) -> dict[str, CameraId]:
    """Which camera each of ``names`` is. Raises ``InputError`` unless they are the left, front and right one, once each."""
    found = {name: CAMERAS[name.lower()] for name in names if name.lower() in CAMERAS}
    if len(found) < len(names) or sorted(each.value for each in found.values()) != sorted(each.value for each in STITCH_ORDER):
        raise InputError(
            f"The planner sees one left, one front and one right camera of {', '.join(CAMERAS)}, got "
            f"{', '.join(names) or 'none'}. Set inference.use_cameras to such three."
        )
    return found


def camera_frames(images: Mapping[str, Sequence[Any]], cameras: Mapping[str, CameraId]) -> dict[CameraId, CameraFrame]:
    """The newest image of each of ``cameras``; ``images`` holds (timestamp_us, image [H, W, 3] uint8) pairs, oldest first.

    The interface hands over no calibration, and the network looks at none: the frames hold nuPlan's, which AlpaSim's
    ``rectification`` has to bring the images to. Raises ``InputError`` naming the camera where an image cannot be used.
    """
    frames = {}
    for name, camera in cameras.items():
        given = images.get(name)
        if not given:
            raise InputError(f"Camera {name} delivered no image. Delivered: {', '.join(sorted(images)) or 'none'}.")
        try:
            frames[camera] = _frame(np.asarray(given[-1][1]), camera)
        except InputError as error:
            raise InputError(f"Camera {name}: {error}") from error
    return frames


def _frame(image: np.ndarray, camera: CameraId) -> CameraFrame:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"an image must be uint8 RGB [H, W, 3], got {image.dtype} of shape {list(image.shape)}.")
    rows, columns = image.shape[:2]
    if rows * FULL_SIZE[1] != columns * FULL_SIZE[0]:
        raise InputError(
            f"an image must be 16:9, got {columns} x {rows} pixels. Set rectification.<camera>.resolution_hw to [1080, 1920]."
        )
    if rows % _UNIT_ROWS:
        resized = Image.fromarray(image).resize(FULL_SIZE[::-1], Image.Resampling.BILINEAR)
        image = np.asarray(resized)
    (nominal,) = (
        each for each in rig_at(RIG_SCALE * image.shape[0] / _UNIT_ROWS, NUPLAN_FRONT_RIG) if each.camera_id is camera
    )
    return CameraFrame(image=image, intrinsics=nominal.intrinsics, ego_from_camera=nominal.ego_from_camera)
