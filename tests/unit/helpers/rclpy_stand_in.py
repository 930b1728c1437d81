"""What of rclpy the node touches, so that it runs without ROS: a node that remembers what was asked of it, and messages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from diffdrive_agents.ros2.bag_types import make_bag_message, typestore


class Group:
    """A callback group."""


@dataclass
class QoSProfile:
    history: str
    depth: int
    reliability: str
    durability: str


@dataclass
class Publisher:
    quality: QoSProfile
    sent: list[Any] = field(default_factory=list)

    def publish(self, message: Any) -> None:
        self.sent.append(message)


class Node:
    """A node whose clock stands at ``now_ns``."""

    def __init__(self, parameters: dict[str, Any] | None = None) -> None:
        self.parameters, self.now_ns = parameters or {}, 0
        self.subscriptions: dict[str, tuple[Any, Callable[[Any], None], QoSProfile]] = {}
        self.publishers: dict[str, Publisher] = {}
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.errors: list[str] = []

    def get_parameters_by_prefix(self, prefix: str) -> dict[str, Any]:
        assert prefix == ""
        return {name: SimpleNamespace(value=value) for name, value in self.parameters.items()}

    def create_subscription(
        self, kind: Any, topic: str, callback: Callable[[Any], None], quality: QoSProfile, *, callback_group: Group
    ) -> None:
        self.subscriptions[topic] = (kind, callback, quality)

    def create_publisher(self, kind: Any, topic: str, quality: QoSProfile) -> Publisher:
        return self.publishers.setdefault(topic, Publisher(quality))

    def create_timer(self, period_s: float, callback: Callable[[], None], *, callback_group: Group) -> None:
        self.timers.append((period_s, callback))

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now_ns))

    def get_logger(self) -> Any:
        return SimpleNamespace(error=self.errors.append)


def message_class(type_name: str) -> Any:
    """A class that is as strict about a byte as rclpy's are."""
    definition = dict(typestore().fielddefs[type_name][1])

    class Message:
        @staticmethod
        def get_fields_and_field_types() -> dict[str, str]:
            return {name: "octet" if kind[1] == ("byte", 0) else "" for name, kind in definition.items()}

        def __new__(cls, **fields: Any) -> Any:
            for name, value in fields.items():
                assert (definition[name][1] == ("byte", 0)) == isinstance(value, bytes), (type_name, name)
            return make_bag_message(type_name, **fields)

    return Message


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put stand-ins for rclpy and for the packages of messages in place."""
    names = ("rclpy", "rclpy.callback_groups", "rclpy.qos")
    modules = {name: ModuleType(name) for name in names}
    groups, qos = modules["rclpy.callback_groups"], modules["rclpy.qos"]
    groups.__dict__.update(MutuallyExclusiveCallbackGroup=Group, ReentrantCallbackGroup=Group)
    qos.__dict__.update(
        QoSProfile=QoSProfile,
        HistoryPolicy=SimpleNamespace(KEEP_LAST="last"),
        ReliabilityPolicy=SimpleNamespace(BEST_EFFORT="best effort", RELIABLE="reliable"),
        DurabilityPolicy=SimpleNamespace(VOLATILE="volatile", TRANSIENT_LOCAL="transient local"),
    )
    for type_name in typestore().types:
        package, _, name = type_name.split("/")
        module = modules.setdefault(f"{package}.msg", ModuleType(f"{package}.msg"))
        setattr(module, name, message_class(type_name))
        modules.setdefault(package, ModuleType(package))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
