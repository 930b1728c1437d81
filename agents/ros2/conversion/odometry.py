"""nav_msgs Odometry and geometry_msgs AccelWithCovarianceStamped to motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array

from .making import stamp_us
from .transforms import heading_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OdometrySample:
    """The rear axle at one instant."""

    stamp_us: int
    frame_id: str
    """The frame that stands still, in which ``pose`` is given."""

    pose: np.ndarray
    """[3] x, y (metres), heading (radians)."""

    height: float
    """z of the pose, metres."""

    velocity: np.ndarray
    """[2] forward and to the left along the vehicle's own axes, m/s."""

    yaw_rate: float
    """rad/s, to the left positive."""

    def __post_init__(self) -> None:
        axes = Axes("Odometry")
        for name, contract in (("pose", "3"), ("velocity", "2")):
            array = frozen_array(getattr(self, name), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)
        axes.check("height and yaw rate", np.array([self.height, self.yaw_rate]), "2", finite=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccelerationSample:
    """The rear axle's acceleration at one instant."""

    stamp_us: int
    acceleration: np.ndarray
    """[2] forward and to the left along the vehicle's own axes, m/s^2."""

    def __post_init__(self) -> None:
        array = frozen_array(self.acceleration, np.float64)
        Axes("Acceleration").check("acceleration", array, "2", finite=True)
        object.__setattr__(self, "acceleration", array)


def odometry_of(message: Any, base_frame: str) -> OdometrySample:
    """Of a nav_msgs/Odometry, whose child frame must be ``base_frame``: the rear axle, on the ground.

    Raises ``InputError`` for another child frame, values that are not finite and an orientation that is none.
    """
    child = str(message.child_frame_id)
    if child != base_frame:
        raise InputError(
            f"Odometry must tell of frame '{base_frame}' (the rear axle), got child_frame_id '{child}'. Set base_frame, or "
            "publish the odometry of that frame: at another point of the vehicle, velocities differ."
        )
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    twist = message.twist.twist
    return OdometrySample(
        stamp_us=stamp_us(message.header.stamp),
        frame_id=str(message.header.frame_id),
        pose=np.array([position.x, position.y, heading_of(orientation)]),
        height=float(position.z),
        velocity=np.array([twist.linear.x, twist.linear.y]),
        yaw_rate=float(twist.angular.z),
    )


def acceleration_of(message: Any) -> AccelerationSample:
    """Of a geometry_msgs/AccelWithCovarianceStamped along the vehicle's own axes. Raises ``InputError`` for NaN and infinity.

    The header's frame is not looked at: Autoware's twist2accel differentiates the odometry's twist, which is along the axes of
    base_link, and copies the odometry's header, which says ``map``.
    """
    linear = message.accel.accel.linear
    return AccelerationSample(stamp_us=stamp_us(message.header.stamp), acceleration=np.array([linear.x, linear.y]))
