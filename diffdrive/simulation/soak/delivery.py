"""The messages of a frame as the vehicle gets them, faults and all, and what they are in truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.runtime.envelope import EgoMotion, Reading, VehicleInputs, camera_reading, lidar_reading, motion_reading
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep
from diffdrive.simulation.soak.drive import FRAME_US, Drive
from diffdrive.simulation.soak.faults import Event, Fault, FaultKind, Part

CAMERA_OF = {
    Part.LEFT_CAMERA: CameraId.L0,
    Part.FRONT_CAMERA: CameraId.F0,
    Part.RIGHT_CAMERA: CameraId.R0,
}
_DELAY_US = {Part.LIDAR: 30_000, Part.MOTION: 0, Part.COMMAND: 0, **dict.fromkeys(CAMERA_OF, 20_000)}
_LATE, _BEHIND = 6, 2
"""Frames."""

_AHEAD_US = 500_000
_TELEPORT = np.array([30.0, -20.0, 0.5])


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Which frame a message shows, which it says it shows, and how it is damaged."""

    content: int
    stamp: int
    ahead_us: int = 0
    damage: FaultKind | None = None

    @property
    def is_sound(self) -> bool:
        """Whether what it holds can be read."""
        return self.damage in (None, FaultKind.OTHER_SIZE, FaultKind.TELEPORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A frame's messages."""

    inputs: VehicleInputs
    shown: dict[Part, int | None]
    """The frame that each part's message truly shows; None where there is no message that can be read."""

    motion: EgoState | None
    """The state that the motion's message tells, if it can be read and is of this frame."""


def deliver(drive: Drive, frame: int, event: Event | None) -> Delivery:
    """The messages of ``frame``, during ``event`` if there is one."""
    messages = {part: _message(part, frame, event) for part in _DELAY_US}
    readings = {part: _stamp(message, part) for part, message in messages.items() if message is not None}
    motion = messages[Part.MOTION]
    cameras = {
        CAMERA_OF[part]: _camera_reading(drive, message, CAMERA_OF[part], readings[part])
        for part in CAMERA_OF
        if (message := messages[part]) is not None
    }
    lidar, command = messages[Part.LIDAR], messages[Part.COMMAND]
    return Delivery(
        inputs=VehicleInputs(
            cameras=cameras,
            lidar=None if lidar is None else _lidar_reading(drive, lidar, readings[Part.LIDAR]),
            motion=None if motion is None else motion_reading(lambda: _motion(drive, motion), readings[Part.MOTION]),
            command=None if command is None else Reading.of(lambda: _command(drive, command), readings[Part.COMMAND]),
        ),
        shown={part: None if each is None or not each.is_sound else each.content for part, each in messages.items()},
        motion=drive.at(motion.content).history[-1] if motion is not None and _is_news(motion, frame) else None,
    )


def _is_news(message: Message, frame: int) -> bool:
    return message.is_sound and message.stamp == frame and message.ahead_us == 0


def _message(part: Part, frame: int, event: Event | None) -> Message | None:
    message: Message | None = Message(content=frame, stamp=frame)
    for fault in event.faults if event is not None else ():
        if fault.part is part and message is not None and event is not None:
            message = _befallen(message, fault, frame, event.first)
    return message


def _befallen(message: Message, fault: Fault, frame: int, first: int) -> Message | None:
    kind = fault.kind
    if kind is FaultKind.MISSING:
        return None
    if kind is FaultKind.FROZEN:
        return replace(message, content=first - 1)
    if kind is FaultKind.FROM_FUTURE:
        return replace(message, ahead_us=_AHEAD_US)
    back = {FaultKind.LATE: _LATE, FaultKind.UNSYNCHRONISED: _BEHIND, FaultKind.OUT_OF_ORDER: _BEHIND * ((frame - first) % 2)}
    if kind in back:
        return replace(message, content=frame - back[kind], stamp=frame - back[kind])
    return replace(message, damage=kind)


def _stamp(message: Message, part: Part) -> int:
    return message.stamp * FRAME_US - _DELAY_US[part] + message.ahead_us


def _camera_reading(drive: Drive, message: Message, camera: CameraId, stamp_us: int) -> Reading[CameraFrame]:
    def make() -> CameraFrame:
        seen = drive.camera(message.content, camera)
        if message.damage is FaultKind.NOT_FINITE:
            return replace(seen, image=np.full(seen.image.shape, np.nan))
        if message.damage is FaultKind.MALFORMED:
            return replace(seen, image=seen.image[..., 0])
        if message.damage is FaultKind.OTHER_SIZE:
            return replace(seen, image=seen.image[: len(seen.image) // 2])
        return seen

    return camera_reading(make, stamp_us)


def _lidar_reading(drive: Drive, message: Message, stamp_us: int) -> Reading[LidarSweep]:
    def make() -> LidarSweep:
        points = drive.lidar(message.content).points
        if message.damage is FaultKind.NOT_FINITE:
            points = points.copy()
            points[::7] = np.nan
        return LidarSweep(points=points[:, :2] if message.damage is FaultKind.MALFORMED else points)

    return lidar_reading(make, stamp_us)


def _motion(drive: Drive, message: Message) -> EgoMotion:
    seen = drive.at(message.content)
    pose, history = seen.pose, seen.history
    if message.damage is FaultKind.NOT_FINITE:
        pose = np.full(3, np.nan)
    if message.damage is FaultKind.TELEPORT:
        pose = pose + _TELEPORT
    if message.damage is FaultKind.MALFORMED:
        history = _backwards(history)
    return EgoMotion(history=history, odometry_pose=pose)


def _backwards(history: Sequence[EgoState]) -> tuple[EgoState, ...]:
    return (history[-1], *history)


def _command(drive: Drive, message: Message) -> DrivingCommand:
    return DrivingCommand(7) if message.damage is FaultKind.MALFORMED else drive.at(message.content).command
