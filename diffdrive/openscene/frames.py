"""A scene's present as one entry of a log pickle."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.files import written_aside
from diffdrive.openscene.blobs import image_path, image_scale, lidar_path, no_image_path
from diffdrive.openscene.city_map import Sheet
from diffdrive.openscene.format import CAMERA_NAMES, token_of
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, LightState, Scene

_PROTOCOL = 4


def frame_of(scene: Scene, sheet: Sheet, *, city: str, route: Sequence[str]) -> dict[str, Any]:
    """What the devkit reads of one frame. ``route``: keys of road blocks, for the whole log.

    Boxes, velocities and sensors are in the ego frame, which stands for the format's LiDAR frame.
    """
    token, ego = token_of(scene.token), scene.observation.ego
    x, y, heading = scene.world_from_ego + [*sheet.shift, 0.0]
    command = np.zeros(len(DrivingCommand), dtype=np.int64)
    command[scene.observation.command] = 1
    return {
        "token": token,
        "timestamp": int(ego.timestamp_us),
        "log_name": scene.log_name,
        "scene_token": token_of(f"log {scene.log_name}"),
        "map_location": city,
        "roadblock_ids": [str(sheet.block_fids[key]) for key in route],
        "traffic_lights": [
            (fid, light.state is LightState.RED)
            for light in scene.traffic_lights
            for fid in sheet.connector_fids.get(light.lane_id, ())
        ],
        "driving_command": command,
        "ego2global_translation": np.array([x, y, 0.0]),
        "ego2global_rotation": np.array([np.cos(heading / 2), 0.0, 0.0, np.sin(heading / 2)]),
        "ego_dynamic_state": [*ego.velocity.tolist(), *ego.acceleration.tolist()],
        "lidar_path": lidar_path(scene.log_name, token),
        "cams": _cameras(scene.log_name, token, scene.observation.cameras),
        "anns": _annotations(scene, token),
    }


def _annotations(scene: Scene, token: str) -> dict[str, Any]:
    agents = scene.agents
    boxes, vertical = agents.boxes, agents.vertical
    return {
        "gt_boxes": np.column_stack([boxes[:, :2], vertical[:, 0], boxes[:, 3:5], vertical[:, 1], boxes[:, 2]]),
        "gt_names": np.array([kind.value for kind in agents.kinds], dtype=np.str_),
        "gt_velocity_3d": np.column_stack([agents.velocities, np.zeros(len(agents))]),
        "instance_tokens": [token_of(f"{token} {track}") for track in agents.track_tokens],
        "track_tokens": list(agents.track_tokens),
    }


def _cameras(log_name: str, token: str, cameras: Mapping[CameraId, CameraFrame]) -> dict[str, dict[str, Any]]:
    return {
        name: _camera(image_path(log_name, camera, token), cameras[camera])
        if camera in cameras
        else _no_camera(no_image_path(log_name, camera))
        for camera, name in CAMERA_NAMES.items()
    }


def _camera(path: str, frame: CameraFrame) -> dict[str, Any]:
    return {
        "data_path": path,
        "sensor2lidar_rotation": frame.ego_from_camera[:3, :3].copy(),
        "sensor2lidar_translation": frame.ego_from_camera[:3, 3].copy(),
        "cam_intrinsic": frame.intrinsics * np.array([[image_scale(frame)], [image_scale(frame)], [1.0]]),
        "distortion": np.zeros(5),
    }


def _no_camera(path: str) -> dict[str, Any]:
    unknown = np.full((3, 3), np.nan)
    return {
        "data_path": path,
        "sensor2lidar_rotation": unknown,
        "sensor2lidar_translation": unknown[0],
        "cam_intrinsic": unknown,
        "distortion": np.zeros(5),
    }


def write_frames(path: Path, frames: Sequence[Mapping[str, Any]]) -> None:
    """A log pickle that every numpy since 1.17 reads."""
    content = io.BytesIO()
    _PortablePickler(content, protocol=_PROTOCOL).dump(list(frames))
    with written_aside(path) as aside:
        aside.write_bytes(content.getvalue())


class _PortablePickler(pickle.Pickler):
    """Writes arrays by way of ``numpy.ndarray`` itself: numpy 2 names internals of its own that the devkit's numpy 1 lacks."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray:
            return np.ndarray, (value.shape, value.dtype.str, bytearray(np.ascontiguousarray(value).tobytes()))
        return NotImplemented
