"""Rendered sensors as bytes and as files: JPEG images and a LiDAR sweep in whole half centimetres.

Rendered scenes always pass through this form, so a scene from the cache equals the scene that was rendered, bit by bit.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffdrive.scene import CameraFrame, CameraId, LidarSweep
from diffdrive.world.render.cameras import Camera

LIDAR_STEP_M = 0.005
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensors:
    """The images and the sweep of one instant."""

    cameras: Mapping[CameraId, CameraFrame]
    lidar: LidarSweep


def pack(sensors: Sensors) -> bytes:
    """The content of a cache file."""
    arrays: dict[str, np.ndarray] = {}
    for camera_id, frame in sensors.cameras.items():
        jpeg = io.BytesIO()
        # Full colour resolution: a signal's lamp is a few pixels of pure colour.
        Image.fromarray(frame.image).save(jpeg, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        arrays[f"camera_{camera_id.value}"] = np.frombuffer(jpeg.getvalue(), np.uint8)
    steps = np.round(sensors.lidar.points / LIDAR_STEP_M).clip(-32767, 32767).astype("<i2")
    arrays["lidar"] = np.frombuffer(zlib.compress(np.ascontiguousarray(steps.T).tobytes(), 1), np.uint8)
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def unpack(content: bytes, rig: Sequence[Camera]) -> Sensors:
    """Undo ``pack`` for the cameras of ``rig``. Raises ``ValueError`` when the content is damaged or of another rig."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            steps = np.frombuffer(zlib.decompress(arrays["lidar"].tobytes()), "<i2").reshape(3, -1)
            images = {camera: _image(arrays[f"camera_{camera.camera_id.value}"], camera) for camera in rig}
    except (OSError, KeyError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"damaged sensor file: {error}") from error
    cameras = {
        camera.camera_id: CameraFrame(image=image, intrinsics=camera.intrinsics, ego_from_camera=camera.ego_from_camera)
        for camera, image in images.items()
    }
    points = np.ascontiguousarray(steps.T).astype(np.float32) * np.float32(LIDAR_STEP_M)
    return Sensors(cameras=cameras, lidar=LidarSweep(points=points))


def _image(jpeg: np.ndarray, camera: Camera) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg.tobytes())) as file:
        image = np.asarray(file.convert("RGB"))
    if image.shape != (camera.height, camera.width, 3):
        raise ValueError(f"image of {camera.camera_id.value} has shape {image.shape}, not {camera.height} x {camera.width}")
    return image
