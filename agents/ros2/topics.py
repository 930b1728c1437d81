"""Which topics the bridge listens to and publishes on, with their types and how messages travel."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .config import BridgeConfig, CommandSource


class Delivery(enum.Enum):
    """How messages travel: ROS 2's quality of service in four words."""

    LATEST = "best effort, the last message"
    """Sensor data."""

    STREAM = "best effort, the last 100 messages"
    """Every message counts, but none is asked for again: understands itself with every publisher."""

    RELIABLE = "reliable, the last 10 messages"
    LATCHED = "reliable and transient local, the last 10 messages"
    """Who comes late gets what was said before, from publishers that keep it; from others, nothing at all."""

    @property
    def depth(self) -> int:
        """How many messages wait for who does not fetch them."""
        return {Delivery.LATEST: 1, Delivery.STREAM: 100}.get(self, 10)

    @property
    def is_best_effort(self) -> bool:
        """Whether what gets lost stays lost."""
        return self in (Delivery.LATEST, Delivery.STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic."""

    name: str
    type_name: str
    delivery: Delivery


def subscriptions(config: BridgeConfig) -> tuple[Topic, ...]:
    """What the bridge listens to."""
    inputs = config.inputs
    sensors = Delivery.RELIABLE if config.reliable_sensors else Delivery.LATEST
    stream = Delivery.RELIABLE if config.reliable_sensors else Delivery.STREAM
    found = []
    for _, camera in inputs.cameras.items():
        image = "sensor_msgs/msg/CompressedImage" if camera.is_compressed else "sensor_msgs/msg/Image"
        found += [(camera.image, image, sensors), (camera.info, "sensor_msgs/msg/CameraInfo", sensors)]
    found += [
        (inputs.point_cloud, "sensor_msgs/msg/PointCloud2", sensors),
        (inputs.odometry, "nav_msgs/msg/Odometry", stream),
        (inputs.acceleration, "geometry_msgs/msg/AccelWithCovarianceStamped", stream),
        (inputs.static_transforms, "tf2_msgs/msg/TFMessage", Delivery.LATCHED),
    ]
    if config.command_source is CommandSource.ROUTE:
        found.append((inputs.route, "autoware_planning_msgs/msg/LaneletRoute", Delivery.LATCHED))
    else:
        found.append((inputs.turn_indicators, "autoware_vehicle_msgs/msg/TurnIndicatorsCommand", stream))
    return _topics(found)


def publications(config: BridgeConfig) -> tuple[Topic, ...]:
    """What the bridge publishes on."""
    outputs = config.outputs
    return _topics(
        [
            (outputs.trajectory, "autoware_planning_msgs/msg/Trajectory", Delivery.RELIABLE),
            (outputs.candidates, "autoware_internal_planning_msgs/msg/CandidateTrajectories", Delivery.RELIABLE),
            (outputs.diagnostics, "diagnostic_msgs/msg/DiagnosticArray", Delivery.RELIABLE),
            (outputs.markers, "visualization_msgs/msg/MarkerArray", Delivery.RELIABLE),
        ]
    )


def _topics(found: list[tuple[str, str, Delivery]]) -> tuple[Topic, ...]:
    return tuple(Topic(name=name, type_name=kind, delivery=delivery) for name, kind, delivery in found if name)
