"""Small messages of ROS that are easy to check, in each of the libraries' classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from diffdrive_agents.ros2.bag_types import make_bag_message, typestore
from diffdrive_agents.ros2.conversion.making import header_message

from diffdrive.scene import EgoState


def as_bag(message: Any) -> Any:
    """As it is: rosbags' class, data in numpy arrays."""
    return message


def as_idl(message: Any) -> Any:
    """cyclonedds' class, data in lists of numbers, by way of the bytes on the wire."""
    from diffdrive_agents.ros2.dds.types import idl_class

    content = bytes(typestore().serialize_cdr(message, message.__msgtype__))
    return idl_class(message.__msgtype__).deserialize(content)


LIBRARIES: tuple[Callable[[Any], Any], ...] = (as_bag, as_idl)


def image(pixels: np.ndarray, encoding: str, *, padding: int = 0, **changed: Any) -> Any:
    """A sensor_msgs/Image of bytes [H, W, C], with ``padding`` bytes after each row."""
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 7, dtype=np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    fields = {"height": height, "width": width, "step": rows.shape[1], "encoding": encoding, "data": rows.reshape(-1)}
    return make_bag_message("sensor_msgs/msg/Image", **{**fields, **changed})


def camera_info(**changed: Any) -> Any:
    matrix = np.array([[100.0, 0.0, 32.0], [0.0, 101.0, 16.0], [0.0, 0.0, 1.0]])
    fields = {
        "height": 32,
        "width": 64,
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": matrix.reshape(-1),
        "r": np.eye(3).reshape(-1),
        "p": np.column_stack([2 * matrix, np.zeros(3)]).reshape(-1),
    }
    return make_bag_message("sensor_msgs/msg/CameraInfo", **{**fields, **changed})


def cloud(layout: np.dtype[Any], points: np.ndarray, *, rows: int = 1, padding: int = 0, **changed: Any) -> Any:
    """A sensor_msgs/PointCloud2 of ``points`` [N, 3], whose fields lie as in ``layout``; what else it has is 9."""
    records = np.zeros(len(points), dtype=layout)
    records.view(np.uint8)[:] = 9
    for column, axis in enumerate("xyz"):
        records[axis] = points[:, column]
    per_row = len(points) // rows
    lines = np.full((rows, per_row * layout.itemsize + padding), 5, dtype=np.uint8)
    lines[:, : per_row * layout.itemsize] = records.view(np.uint8).reshape(rows, -1)
    numbers = {"f4": 7, "f8": 8, "u2": 4, "u1": 2}
    described = [
        make_bag_message(
            "sensor_msgs/msg/PointField",
            name=name,
            offset=int(layout.fields[name][1]),
            datatype=numbers[layout.fields[name][0].str[1:]],
            count=1,
        )
        for name in layout.names
    ]
    fields = {
        "height": rows,
        "width": per_row,
        "fields": described,
        "is_bigendian": layout["x"].byteorder == ">",
        "point_step": layout.itemsize,
        "row_step": lines.shape[1],
        "data": lines.reshape(-1),
        "is_dense": True,
    }
    return make_bag_message("sensor_msgs/msg/PointCloud2", **{**fields, **changed})


def ego(stamp_us: int, *, speed: float = 5.0, acceleration: float = 0.0) -> EgoState:
    return EgoState(
        timestamp_us=stamp_us, pose=np.zeros(3), velocity=np.array([speed, 0.0]), acceleration=np.array([acceleration, 0.0])
    )


def transform(child: str, parent: str, place: tuple[float, float, float], turn: tuple[float, float, float, float]) -> Any:
    """A geometry_msgs/TransformStamped; ``turn`` is x, y, z, w."""
    return make_bag_message(
        "geometry_msgs/msg/TransformStamped",
        header=header_message(make_bag_message, 0, parent),
        child_frame_id=child,
        transform=make_bag_message(
            "geometry_msgs/msg/Transform",
            translation=make_bag_message("geometry_msgs/msg/Vector3", **dict(zip("xyz", place, strict=True))),
            rotation=make_bag_message("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", turn, strict=True))),
        ),
    )
