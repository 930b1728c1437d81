"""What a vehicle's drivers would publish: an observation's sensors and motion as messages. For bags and tests."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from diffdrive.scene import CameraFrame, DrivingCommand, EgoState, LidarSweep

from .commands import TURN_INDICATORS
from .making import MakesMessages, header_message, time_message
from .trajectories import pose_message
from .transforms import quaternion_of

_FLOAT32 = 7
"""sensor_msgs/PointField."""


def image_message(make: MakesMessages, frame: CameraFrame, time_us: int, frame_id: str) -> Any:
    """A sensor_msgs/Image, rgb8."""
    height, width, _ = frame.image.shape
    return make(
        "sensor_msgs/msg/Image",
        header=header_message(make, time_us, frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=np.ascontiguousarray(frame.image).reshape(-1),
    )


def compressed_image_message(make: MakesMessages, frame: CameraFrame, time_us: int, frame_id: str, *, quality: int = 90) -> Any:
    """A sensor_msgs/CompressedImage: JPEG of ``quality`` (1 to 95) without subsampling of colours, or the frame's own file."""
    from PIL import Image

    content = frame.encoded
    if content is None:
        buffer = io.BytesIO()
        Image.fromarray(frame.image).save(buffer, "JPEG", quality=quality, subsampling=0)
        content = buffer.getvalue()
    return make(
        "sensor_msgs/msg/CompressedImage",
        header=header_message(make, time_us, frame_id),
        format="png" if content.startswith(b"\x89PNG") else "jpeg",
        data=np.frombuffer(content, dtype=np.uint8),
    )


def camera_info_message(make: MakesMessages, frame: CameraFrame, time_us: int, frame_id: str) -> Any:
    """A sensor_msgs/CameraInfo of a camera without distortion."""
    height, width, _ = frame.image.shape
    return make(
        "sensor_msgs/msg/CameraInfo",
        header=header_message(make, time_us, frame_id),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=frame.intrinsics.reshape(-1).copy(),
        r=np.eye(3).reshape(-1),
        p=np.column_stack([frame.intrinsics, np.zeros(3)]).reshape(-1),
    )


def point_cloud_message(make: MakesMessages, sweep: LidarSweep, time_us: int, frame_id: str) -> Any:
    """A sensor_msgs/PointCloud2 of float32 x, y and z, metres, in the ego frame: ``frame_id`` must be the base frame."""
    points = np.ascontiguousarray(sweep.points, dtype="<f4")
    return make(
        "sensor_msgs/msg/PointCloud2",
        header=header_message(make, time_us, frame_id),
        height=1,
        width=len(points),
        fields=[
            make("sensor_msgs/msg/PointField", name=axis, offset=4 * index, datatype=_FLOAT32, count=1)
            for index, axis in enumerate("xyz")
        ],
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=points.view(np.uint8).reshape(-1),
        is_dense=True,
    )


def odometry_message(make: MakesMessages, pose: np.ndarray, ego: EgoState, time_us: int, frames: tuple[str, str]) -> Any:
    """A nav_msgs/Odometry of the rear axle at ``pose`` [3] in the first of ``frames``; the second one is the base frame."""
    vx, vy = (float(value) for value in ego.velocity)
    return make(
        "nav_msgs/msg/Odometry",
        header=header_message(make, time_us, frames[0]),
        child_frame_id=frames[1],
        pose=make("geometry_msgs/msg/PoseWithCovariance", pose=pose_message(make, pose, 0.0)),
        twist=make(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=make(
                "geometry_msgs/msg/Twist",
                linear=make("geometry_msgs/msg/Vector3", x=vx, y=vy),
                angular=make("geometry_msgs/msg/Vector3", z=ego.yaw_rate),
            ),
        ),
    )


def acceleration_message(make: MakesMessages, ego: EgoState, time_us: int, frame_id: str) -> Any:
    """A geometry_msgs/AccelWithCovarianceStamped of the rear axle."""
    ax, ay = (float(value) for value in ego.acceleration)
    linear = make("geometry_msgs/msg/Vector3", x=ax, y=ay)
    return make(
        "geometry_msgs/msg/AccelWithCovarianceStamped",
        header=header_message(make, time_us, frame_id),
        accel=make("geometry_msgs/msg/AccelWithCovariance", accel=make("geometry_msgs/msg/Accel", linear=linear)),
    )


def indicators_message(make: MakesMessages, command: DrivingCommand, time_us: int) -> Any:
    """An autoware_vehicle_msgs/TurnIndicatorsCommand."""
    number = {meant: number for number, meant in TURN_INDICATORS.items()}[command]
    return make("autoware_vehicle_msgs/msg/TurnIndicatorsCommand", stamp=time_message(make, time_us), command=number)


def static_transforms_message(make: MakesMessages, places: dict[str, np.ndarray], time_us: int, base_frame: str) -> Any:
    """A tf2_msgs/TFMessage of frames on ``base_frame``: of each its name and [4, 4] from it to the base frame."""
    return make(
        "tf2_msgs/msg/TFMessage",
        transforms=[
            make(
                "geometry_msgs/msg/TransformStamped",
                header=header_message(make, time_us, base_frame),
                child_frame_id=name,
                transform=_transform(make, matrix),
            )
            for name, matrix in places.items()
        ],
    )


def _transform(make: MakesMessages, matrix: np.ndarray) -> Any:
    x, y, z = (float(value) for value in matrix[:3, 3])
    qx, qy, qz, qw = quaternion_of(matrix[:3, :3])
    return make(
        "geometry_msgs/msg/Transform",
        translation=make("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
        rotation=make("geometry_msgs/msg/Quaternion", x=qx, y=qy, z=qz, w=qw),
    )
