"""How messages are made: by the name of their type, so that the same code makes rclpy's, rosbags' and cyclonedds' ones."""

from __future__ import annotations

from typing import Any, Protocol

_SECOND_US = 1_000_000


class MakesMessages(Protocol):
    """Makes a message of the type called ``type_name``, e.g. ``std_msgs/msg/Header``; fields that are not given are zero."""

    def __call__(self, type_name: str, /, **fields: Any) -> Any: ...


def stamp_us(stamp: Any) -> int:
    """Microseconds of a builtin_interfaces/Time; what is finer is cut off."""
    return int(stamp.sec) * _SECOND_US + int(stamp.nanosec) // 1000


def time_message(make: MakesMessages, time_us: int) -> Any:
    """A builtin_interfaces/Time."""
    return make("builtin_interfaces/msg/Time", sec=time_us // _SECOND_US, nanosec=time_us % _SECOND_US * 1000)


def duration_message(make: MakesMessages, seconds: float) -> Any:
    """A builtin_interfaces/Duration, rounded to nanoseconds."""
    nanoseconds = round(seconds * 1e9)
    return make("builtin_interfaces/msg/Duration", sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def header_message(make: MakesMessages, time_us: int, frame_id: str) -> Any:
    """A std_msgs/Header."""
    return make("std_msgs/msg/Header", stamp=time_message(make, time_us), frame_id=frame_id)
