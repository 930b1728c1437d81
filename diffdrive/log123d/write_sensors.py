"""Images and sweeps of one frame as py123d's modalities."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffdrive.scene import CameraFrame, CameraId, LidarSweep

JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorFrame:
    """What the sensors of the ego saw at one frame, in its ego frame."""

    cameras: Mapping[CameraId, CameraFrame] = field(default_factory=dict)
    lidar: LidarSweep | None = None


def sensor_modalities(sensors: SensorFrame, time: Any) -> list[Any]:
    """py123d values of the frame at ``time`` (a py123d timestamp): one JPEG per camera, one merged sweep."""
    values = [_camera(camera, frame, time) for camera, frame in sensors.cameras.items()]
    if sensors.lidar is not None:
        values.append(_lidar(sensors.lidar, time))
    return values


def _camera(camera: CameraId, frame: CameraFrame, time: Any) -> Any:
    from PIL import Image
    from py123d.datatypes import CameraID, PinholeCameraMetadata, PinholeDistortion, PinholeIntrinsics
    from py123d.geometry import PoseSE3
    from py123d.parser.base_dataset_parser import ParsedCamera

    height, width = frame.image.shape[:2]
    k = frame.intrinsics
    matrix = frame.ego_from_camera
    metadata = PinholeCameraMetadata(
        f"camera_{camera.value}",
        CameraID[f"PCAM_{camera.name}"],
        PinholeIntrinsics(float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])),
        PinholeDistortion(0.0, 0.0, 0.0, 0.0, 0.0),
        width,
        height,
        PoseSE3(*matrix[:3, 3].tolist(), *_quaternion(matrix[:3, :3])),
        is_undistorted=True,
    )
    buffer = io.BytesIO()
    Image.fromarray(frame.image).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return ParsedCamera(metadata, time, camera_to_global_se3=None, byte_string=buffer.getvalue())


def _lidar(sweep: LidarSweep, time: Any) -> Any:
    from py123d.datatypes import LidarID, LidarMetadata
    from py123d.datatypes.sensors.lidar import Lidar, LidarFeature, LidarMergedMetadata
    from py123d.geometry import PoseSE3

    identity = PoseSE3.identity()
    metadata = LidarMergedMetadata({LidarID.LIDAR_TOP: LidarMetadata("top", LidarID.LIDAR_TOP, identity)})
    ids = np.full(len(sweep.points), int(LidarID.LIDAR_TOP), np.uint8)
    features = {LidarFeature.IDS.serialize(): ids, LidarFeature.INTENSITY.serialize(): np.zeros(len(ids), np.uint8)}
    return Lidar(time, time, metadata, np.array(sweep.points, dtype=np.float32), features)


def _quaternion(matrix: np.ndarray) -> list[float]:
    """[w, x, y, z] of a rotation matrix [3, 3], by the largest of the four components."""
    m = matrix
    trace = np.array([m.trace(), m[0, 0], m[1, 1], m[2, 2]])
    size = 1 + 2 * trace - m.trace()
    size[0] = 1 + m.trace()
    k = int(np.argmax(size))
    r = 2.0 * np.sqrt(size[k])
    skew = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]]) / r
    if k == 0:
        return [r / 4, *skew.tolist()]
    symmetric = (m + m.T)[k - 1] / r
    symmetric[k - 1] = r / 4
    return [float(skew[k - 1]), *symmetric.tolist()]
