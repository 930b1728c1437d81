"""One scene as the messages that its vehicle would have published at that moment, on the bridge's topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from diffdrive.scene import Scene

from .config import BridgeConfig
from .conversion.making import MakesMessages
from .conversion.sensing import (
    acceleration_message,
    camera_info_message,
    compressed_image_message,
    image_message,
    indicators_message,
    odometry_message,
    point_cloud_message,
    static_transforms_message,
)

WORLD_FRAME = "map"


def scene_messages(make: MakesMessages, scene: Scene, config: BridgeConfig) -> Iterator[tuple[str, Any]]:
    """Topics and messages of the scene's present, all with its time; cameras that it does not have are left out.

    Images are compressed, or not, as ``config`` expects them. The command goes out as turn indicators.
    """
    seen, base, inputs = scene.observation, config.base_frame, config.inputs
    now_us = seen.ego.timestamp_us
    for camera_id, camera in inputs.cameras.items():
        if camera_id in seen.cameras:
            frame, name = seen.cameras[camera_id], optical_frame(camera_id.value)
            yield camera.info, camera_info_message(make, frame, now_us, name)
            write = compressed_image_message if camera.is_compressed else image_message
            yield camera.image, write(make, frame, now_us, name)
    if seen.lidar is not None:
        yield inputs.point_cloud, point_cloud_message(make, seen.lidar, now_us, base)
    yield inputs.acceleration, acceleration_message(make, seen.ego, now_us, base)
    yield inputs.turn_indicators, indicators_message(make, seen.command, now_us)
    yield inputs.odometry, odometry_message(make, scene.world_from_ego, seen.ego, now_us, (WORLD_FRAME, base))


def mounting_message(make: MakesMessages, scene: Scene, config: BridgeConfig) -> Any:
    """A tf2_msgs/TFMessage that tells where the scene's cameras sit."""
    cameras = scene.observation.cameras
    places = {optical_frame(camera_id.value): frame.ego_from_camera for camera_id, frame in cameras.items()}
    return static_transforms_message(make, places, scene.observation.ego.timestamp_us, config.base_frame)


def optical_frame(camera: str) -> str:
    """The name of a camera's frame."""
    return f"camera_{camera}_optical_link"
