"""Rendered sensors as bytes and as files: JPEG images, and the distances that the LiDAR's rays told.

Rendered scenes always pass through this form, so a scene from the cache equals the scene that was rendered, bit by bit. The
sweep loses nothing: a sensor tells distances in whole steps (``LidarRig.step_m``), and these are kept, with how the car moved;
points follow from both. Neighbouring rays mostly meet one surface, so differences of distances pack into a quarter of what
points would need.
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
from diffdrive.world.render.lidar_rig import LidarRig, Motion, points_from_steps

JPEG_QUALITY = 95
FORMAT = 2
"""Goes up with every change to what a file holds: files of older formats are then never looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensors:
    """The images and the sweep of one instant."""

    cameras: Mapping[CameraId, CameraFrame]
    lidar: LidarSweep


def pack(cameras: Mapping[CameraId, CameraFrame], steps: np.ndarray, motion: Motion) -> bytes:
    """The content of a cache file. ``steps`` [rays] are distances in whole steps, uint16, zero where nothing came back."""
    arrays = {f"camera_{camera.value}": np.frombuffer(jpeg(frame.image), np.uint8) for camera, frame in cameras.items()}
    arrays["lidar"] = np.frombuffer(pack_sweep(steps), np.uint8)
    arrays["motion"] = np.array([motion.forward, motion.left, motion.yaw_rate])
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def unpack(content: bytes, rig: Sequence[Camera], lidar: LidarRig) -> Sensors:
    """Undo ``pack`` for the cameras of ``rig`` and the sensors of ``lidar``.

    Raises ``ValueError`` when the content is damaged or of other sensors.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            forward, left, yaw_rate = (float(v) for v in arrays["motion"])
            steps = unpack_sweep(arrays["lidar"].tobytes(), lidar.num_rays)
            files = {camera: arrays[f"camera_{camera.camera_id.value}"].tobytes() for camera in rig}
            images = {camera: _image(file, camera) for camera, file in files.items()}
    except (OSError, KeyError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"damaged sensor file: {error}") from error
    cameras = {
        camera.camera_id: CameraFrame(
            image=image, intrinsics=camera.intrinsics, ego_from_camera=camera.ego_from_camera, encoded=files[camera]
        )
        for camera, image in images.items()
    }
    points = points_from_steps(lidar, Motion(forward=forward, left=left, yaw_rate=yaw_rate), steps)
    return Sensors(cameras=cameras, lidar=LidarSweep(points=points))


def jpeg(image: np.ndarray) -> bytes:
    """An image [H, W, 3] as a JPEG file."""
    content = io.BytesIO()
    # Full colour resolution: a signal's lamp is a few pixels of pure colour.
    Image.fromarray(image).save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return content.getvalue()


def pack_sweep(steps: np.ndarray) -> bytes:
    """Which rays came back, then the differences between those: sign last, low bytes apart from high bytes."""
    came_back = steps > 0
    change: np.ndarray = np.diff(steps[came_back].astype(np.int32), prepend=0)
    folded = ((change << 1) ^ (change >> 31)).astype("<u4")
    planes = np.ascontiguousarray(folded.view(np.uint8).reshape(-1, 4)[:, :3].T)
    packer = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return packer.compress(np.packbits(came_back).tobytes() + planes.tobytes()) + packer.flush()


def unpack_sweep(content: bytes, num_rays: int) -> np.ndarray:
    """Undo ``pack_sweep``: steps [rays], uint16."""
    values = np.frombuffer(zlib.decompress(content), np.uint8)
    num_bytes = (num_rays + 7) // 8
    came_back = np.unpackbits(values[:num_bytes])[:num_rays].astype(bool)
    planes = values[num_bytes:]
    if len(came_back) != num_rays or len(planes) != 3 * came_back.sum():
        raise ValueError(f"the sweep is not one of {num_rays} rays")
    low, middle, high = planes.reshape(3, -1).astype(np.int32)
    folded = low | middle << 8 | high << 16
    steps = np.zeros(num_rays, dtype=np.uint16)
    steps[came_back] = np.cumsum((folded >> 1) ^ -(folded & 1))
    return steps


def _image(content: bytes, camera: Camera) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as file:
        image = np.asarray(file.convert("RGB"))
    if image.shape != (camera.height, camera.width, 3):
        raise ValueError(f"image of {camera.camera_id.value} has shape {image.shape}, not {camera.height} x {camera.width}")
    return image
