"""The ROS 2 node. It moves messages between topics and the bridge, and begins a cycle when its timer says so; nothing else.

Needs rclpy and Autoware's message packages, which come with a ROS installation and not from the Python package index. Every
parameter of ``params.yaml`` is a parameter of the node.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from diffdrive.runtime.envelope import AskInThread
from diffdrive.runtime.errors import describe

from .bridge import Bridge
from .config import BridgeConfig, config_from_parameters
from .network import load_network
from .topics import Delivery, Topic

NAME = "diffdrive_planner"

_ROS_OWN = ("use_sim_time", "start_type_description_service", "qos_overrides")
"""Parameters that every node has, which are none of ours."""


def main(arguments: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    from rclpy.node import Node

    rclpy.init(args=arguments)
    node = Node(NAME, automatically_declare_parameters_from_overrides=True)
    try:
        config = parameters_of(node)
        network = load_network(config)
        network.planner.warm_up()
        ask = AskInThread(network.planner)
        connect(node, Bridge(ask, config, make_ros_message, warm_start=network.warm_start))
        # One thread for a cycle that waits for its plan, one for what arrives meanwhile.
        executor = MultiThreadedExecutor(num_threads=2)
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def parameters_of(node: Any) -> BridgeConfig:
    """The node's parameters as a configuration. Raises ``InputError`` for unknown names and values of wrong types."""
    given = {name: parameter.value for name, parameter in node.get_parameters_by_prefix("").items()}
    return config_from_parameters({name: value for name, value in given.items() if name.split(".")[0] not in _ROS_OWN})


def connect(node: Any, bridge: Bridge) -> None:
    """Subscribe to what the bridge listens to, announce what it publishes, and begin its cycles."""
    from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup

    arriving = ReentrantCallbackGroup()
    for topic in bridge.subscriptions:
        node.create_subscription(
            message_class(topic.type_name),
            topic.name,
            lambda message, name=topic.name: bridge.receive(name, message),
            quality(topic),
            callback_group=arriving,
        )
    publishers = {
        topic.name: node.create_publisher(message_class(topic.type_name), topic.name, quality(topic))
        for topic in bridge.publications
    }

    def cycle() -> None:
        try:
            for out in bridge.cycle(node.get_clock().now().nanoseconds // 1000):
                publishers[out.topic].publish(out.message)
        except Exception as error:  # whoever drives the trajectory notices that none came; the next cycle may go well
            node.get_logger().error(f"The cycle failed: {describe(error)}")

    node.create_timer(bridge.config.period_s, cycle, callback_group=MutuallyExclusiveCallbackGroup())


def quality(topic: Topic) -> Any:
    """rclpy's quality of service for a topic."""
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=topic.delivery.depth,
        reliability=ReliabilityPolicy.BEST_EFFORT if topic.delivery.is_best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.delivery is Delivery.LATCHED else DurabilityPolicy.VOLATILE,
    )


@cache
def message_class(type_name: str) -> Any:
    """The class of ``package/msg/Name``."""
    package, _, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def make_ros_message(type_name: str, /, **fields: Any) -> Any:
    """A ``MakesMessages`` of rclpy's classes, which want a byte as ``bytes``."""
    kind = message_class(type_name)
    types = kind.get_fields_and_field_types()
    return kind(**{name: bytes([value]) if types.get(name) == "octet" else value for name, value in fields.items()})


if __name__ == "__main__":
    main()
