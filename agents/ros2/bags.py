"""Bags as streams of messages, read and written with the library ``rosbags``: no ROS installation needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from diffdrive.contracts import InputError

from .bag_types import typestore
from .topics import Delivery, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One message of a bag."""

    topic: str
    type_name: str
    received_ns: int
    """When it was recorded, nanoseconds."""

    message: Any


def read_bag(path: Path, topics: set[str] | None = None) -> Iterator[Recorded]:
    """The messages of a bag in the order in which they were recorded: a folder of ROS 2, or a single .mcap or .db3 file.

    ``topics`` limits them. Types are those that the bag describes, else ours. Raises ``InputError`` for what is no bag.
    """
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.rosbag2 import ReaderError

    if not path.exists():
        raise InputError(f"There is no bag at '{path}'.")
    try:
        with AnyReader([path], default_typestore=typestore()) as reader:
            wanted = [each for each in reader.connections if topics is None or each.topic in topics]
            if not wanted:
                return
            for connection, received_ns, data in reader.messages(wanted):
                yield Recorded(
                    topic=connection.topic,
                    type_name=connection.msgtype,
                    received_ns=received_ns,
                    message=reader.deserialize(data, connection.msgtype),
                )
    except (AnyReaderError, ReaderError, OSError) as error:
        raise InputError(f"'{path}' cannot be read as a bag of ROS 2: {error}") from error


class BagWriter:
    """Writes a bag in MCAP: the folder that ``ros2 bag`` reads, or one file where ``path`` ends in ``.mcap``.

    Used in a ``with`` block; the bag appears at ``path`` whole, when the block ends well.
    Raises ``InputError`` where something is at ``path`` already.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if self.path.exists():
            raise InputError(f"'{self.path}' is there already. Remove it, or write elsewhere.")
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        from rosbags.rosbag2 import StoragePlugin, Writer

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.stem}.")
        # The file inside is named after the folder, so the folder has its final name from the beginning.
        self._aside = Path(self._scratch.name) / self.path.stem
        self._writer = Writer(self._aside, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._writer.close()
            if kind is None:
                whole = next(self._aside.glob("*.mcap")) if self.path.suffix == ".mcap" else self._aside
                whole.rename(self.path)
        finally:
            self._scratch.cleanup()

    def add_topics(self, topics: tuple[Topic, ...]) -> None:
        """Announce topics before their first message."""
        for topic in topics:
            self._connections[topic.name] = self._writer.add_connection(
                topic.name, topic.type_name, typestore=typestore(), offered_qos_profiles=[_quality(topic.delivery)]
            )

    def write(self, topic: str, message: Any, received_ns: int) -> None:
        """Write a message of our type store (``make_bag_message``) on an announced topic."""
        connection = self._connections[topic]
        self._writer.write(connection, received_ns, typestore().serialize_cdr(message, connection.msgtype))


def _quality(delivery: Delivery) -> Any:
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    forever = QosTime(sec=9223372036, nsec=854775807)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=delivery.depth,
        reliability=QosReliability.BEST_EFFORT if delivery.is_best_effort else QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if delivery is Delivery.LATCHED else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
