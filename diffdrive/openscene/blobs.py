"""Sensor files: one binary point cloud and one JPEG per camera for each frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffdrive.openscene.format import CAMERA_NAMES, IMAGE_SIZE, LIDAR_NAME, PCD_FIELDS
from diffdrive.scene import CameraFrame, CameraId, LidarSweep

JPEG_QUALITY = 90


def lidar_path(log_name: str, token: str) -> str:
    """Of a frame's point cloud, relative to the split's folder of sensor blobs."""
    return f"{log_name}/{LIDAR_NAME}/{token}.pcd"


def image_path(log_name: str, camera: CameraId, token: str) -> str:
    """Of a frame's image, likewise."""
    return f"{log_name}/{CAMERA_NAMES[camera]}/{token}.jpg"


def no_image_path(log_name: str, camera: CameraId) -> str:
    """Of the black image that stands for every image of a camera that the log does not have."""
    return f"{log_name}/{CAMERA_NAMES[camera]}/no_camera.jpg"


def write_points(path: Path, sweep: LidarSweep) -> None:
    """A .pcd file. The sweep knows neither intensities nor which sensor a point came from: those fields are zero."""
    kinds = {"F": "f", "U": "u"}
    cloud = np.zeros(len(sweep.points), dtype=[(name, f"<{kinds[kind]}{size}") for name, (kind, size) in PCD_FIELDS.items()])
    cloud["x"], cloud["y"], cloud["z"] = sweep.points.T
    header = [
        "# .PCD v.7 - Point Cloud Data file format",
        "VERSION .7",
        "FIELDS " + " ".join(PCD_FIELDS),
        "SIZE " + " ".join(str(size) for _, size in PCD_FIELDS.values()),
        "TYPE " + " ".join(kind for kind, _ in PCD_FIELDS.values()),
        "COUNT " + " ".join("1" for _ in PCD_FIELDS),
        f"WIDTH {len(cloud)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(cloud)}",
        "DATA binary",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(header) + "\n").encode() + cloud.tobytes())


def image_scale(frame: CameraFrame) -> float:
    """How many of the format's pixels one pixel of this image becomes: 1 where the image has another shape."""
    height, width = frame.image.shape[:2]
    return IMAGE_SIZE[0] / width if width * IMAGE_SIZE[1] == height * IMAGE_SIZE[0] else 1.0


def write_image(path: Path, frame: CameraFrame) -> None:
    """A JPEG, brought to the format's size where it has the format's shape."""
    from PIL import Image

    image, scale = Image.fromarray(frame.image), image_scale(frame)
    if scale != 1.0:
        image = image.resize(IMAGE_SIZE, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format="JPEG", quality=JPEG_QUALITY)


def write_no_image(path: Path) -> None:
    """A black image of the format's size."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", IMAGE_SIZE).save(path, format="JPEG", quality=JPEG_QUALITY)
