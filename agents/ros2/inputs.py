"""What arrived in a cycle becomes what the envelope takes. Frozen memory in, frozen memory out: no clock, no threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import transform_points
from diffdrive.runtime.envelope import EgoMotion, Reading, VehicleInputs, camera_reading, lidar_reading
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, LidarSweep

from .config import BridgeConfig, CameraInput, CommandSource
from .conversion.camera_info import check_size, lens_of
from .conversion.commands import command_of_indicators, command_on_route, route_line
from .conversion.images import compressed_image_of, image_of
from .conversion.making import stamp_us
from .conversion.odometry import acceleration_of, odometry_of
from .conversion.point_cloud import points_of
from .conversion.transforms import Mounting, StaticTransforms
from .motion_history import MotionHistory, receive_motion

T = TypeVar("T")

Arrived = Mapping[str, Sequence[Any]]
"""The messages of every topic since the cycle before, in the order of their arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputMemory:
    """What earlier messages told that still holds."""

    transforms: StaticTransforms = field(default_factory=StaticTransforms)
    infos: Mapping[CameraId, Any] = field(default_factory=dict)
    """The last sensor_msgs/CameraInfo of every camera."""

    route: Any = None
    """The last autoware_planning_msgs/LaneletRoute."""

    motion: MotionHistory = field(default_factory=MotionHistory)


def receive_inputs(
    memory: InputMemory,
    arrived: Arrived,
    now_us: int,
    config: BridgeConfig,
    centre_lines: Mapping[int, np.ndarray],
) -> tuple[InputMemory, VehicleInputs]:
    """Take the messages of a cycle at ``now_us`` in. ``centre_lines`` [K, 2] by lanelet id is what a route is read with.

    Of several images or sweeps of one sensor the youngest by its stamp counts. Nothing raises: what cannot be used is a
    reading with a fault.
    """
    inputs = config.inputs
    transforms = memory.transforms
    for message in arrived.get(inputs.static_transforms, ()):
        transforms = _with_transforms(transforms, message)
    infos = dict(memory.infos)
    for camera_id, camera in inputs.cameras.items():
        if arrived.get(camera.info):
            infos[camera_id] = arrived[camera.info][-1]
    motion, motion_reading = receive_motion(
        memory.motion,
        [_reading_of(odometry_of, each, config.base_frame) for each in arrived.get(inputs.odometry, ())],
        [_reading_of(acceleration_of, each) for each in arrived.get(inputs.acceleration, ())],
        now_us,
        config.history,
    )
    route = (arrived.get(inputs.route, ()) or [memory.route])[-1]
    memory = InputMemory(transforms=transforms, infos=infos, route=route, motion=motion)
    cameras = {
        camera_id: _camera_reading(
            _youngest(arrived[camera.image]), camera, infos.get(camera_id), transforms, config.base_frame
        )
        for camera_id, camera in inputs.cameras.items()
        if arrived.get(camera.image)
    }
    clouds = arrived.get(inputs.point_cloud)
    return memory, VehicleInputs(
        cameras=cameras,
        lidar=_lidar_reading(_youngest(clouds), inputs.point_cloud_mounting, transforms, config.base_frame) if clouds else None,
        motion=motion_reading,
        command=_command_reading(arrived, memory, motion_reading, config, centre_lines),
    )


def _with_transforms(transforms: StaticTransforms, message: Any) -> StaticTransforms:
    try:
        return transforms.with_message(message)
    except InputError:
        return transforms  # a sensor whose place stays unknown has readings with a fault


def _reading_of(convert: Callable[..., T], message: Any, *arguments: Any) -> Reading[T]:
    return Reading.of(lambda: convert(message, *arguments), stamp_us(message.header.stamp))


def _youngest(messages: Sequence[Any]) -> Any:
    return max(messages, key=lambda each: stamp_us(each.header.stamp))


def _camera_reading(
    message: Any, camera: CameraInput, info: Any, transforms: StaticTransforms, base_frame: str
) -> Reading[CameraFrame]:
    def make() -> CameraFrame:
        if info is None:
            raise InputError(f"No CameraInfo has arrived yet on '{camera.info}'.")
        lens = lens_of(info, is_rectified=camera.is_rectified)
        image, encoded = compressed_image_of(message) if camera.is_compressed else (image_of(message), None)
        check_size(lens, image)
        optical_from_image = np.eye(4)
        optical_from_image[:3, :3] = lens.image_from_optical.T
        base_from_optical = _place(message, camera.mounting, transforms, base_frame)
        return CameraFrame(
            image=image, intrinsics=lens.intrinsics, ego_from_camera=base_from_optical @ optical_from_image, encoded=encoded
        )

    return camera_reading(make, stamp_us(message.header.stamp))


def _lidar_reading(
    message: Any, mounting: Mounting | None, transforms: StaticTransforms, base_frame: str
) -> Reading[LidarSweep]:
    def make() -> LidarSweep:
        points, base_from_cloud = points_of(message), _place(message, mounting, transforms, base_frame)
        if not np.array_equal(base_from_cloud, np.eye(4)):
            points = transform_points(base_from_cloud, points.astype(np.float64)).astype(np.float32)
        return LidarSweep(points=points)

    return lidar_reading(make, stamp_us(message.header.stamp))


def _place(message: Any, mounting: Mounting | None, transforms: StaticTransforms, base_frame: str) -> np.ndarray:
    """[4, 4] base frame from the message's frame."""
    return mounting.parent_from_frame if mounting is not None else transforms.base_from(message.header.frame_id, base_frame)


def _command_reading(
    arrived: Arrived,
    memory: InputMemory,
    motion: Reading[EgoMotion] | None,
    config: BridgeConfig,
    centre_lines: Mapping[int, np.ndarray],
) -> Reading[DrivingCommand] | None:
    if config.command_source is CommandSource.TURN_INDICATORS:
        messages = arrived.get(config.inputs.turn_indicators)
        if not messages:
            return None
        message = max(messages, key=lambda each: stamp_us(each.stamp))
        return Reading.of(lambda: command_of_indicators(message), stamp_us(message.stamp))
    if memory.route is None or motion is None or motion.value is None or memory.motion.newest is None:
        return None
    route, pose, frame = memory.route, motion.value.odometry_pose, memory.motion.newest.frame_id

    def make() -> DrivingCommand:
        if str(route.header.frame_id) != frame:
            raise InputError(f"The route is in frame '{route.header.frame_id}', the odometry in '{frame}': they must be one.")
        return command_on_route(route_line(route, centre_lines), pose)

    return Reading.of(make, motion.stamp_us)
