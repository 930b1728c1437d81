"""Consecutive frames of drives, ten a second: how the ego moved, what it was told, and what its sensors saw.

Motion is that of the logs, frame by frame. Sensors are rendered for a few scenes only and shown again in the frames around
them, with a mark that differs from frame to frame: a picture twice would count as frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep

if TYPE_CHECKING:
    from diffdrive.world.source import WorldSource

FRAME_US = 100_000
MARKS = 251
"""So many frames in a row have different marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What the sensors saw at one moment."""

    cameras: Mapping[CameraId, CameraFrame]
    lidar: LidarSweep


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveFrame:
    """How the ego moved at one moment."""

    history: tuple[EgoState, ...]
    pose: np.ndarray
    """[3] in the world: what a perfect odometry measures."""

    command: DrivingCommand
    shot: int
    """Whose sensors are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Frames 0.1 s apart. They begin again at the end; there, and where one log follows another, the ego jumps."""

    frames: Sequence[DriveFrame]
    shots: Sequence[Shot]
    num_logs: int

    def __post_init__(self) -> None:
        if not self.frames or not self.shots:
            raise InputError("A soak needs drives with frames and sensors, got none.")

    def at(self, frame: int) -> DriveFrame:
        """Of any number."""
        return self.frames[frame % len(self.frames)]

    def camera(self, frame: int, camera: CameraId) -> CameraFrame:
        """The image of ``frame``, with its mark in the first column."""
        seen = self.shots[self.at(frame).shot].cameras[camera]
        image = seen.image.copy()
        image[:, 0] = frame % MARKS
        return replace(seen, image=image, encoded=None)

    def lidar(self, frame: int) -> LidarSweep:
        """The sweep of ``frame``, raised by its mark: up to 0.25 mm."""
        points = self.shots[self.at(frame).shot].lidar.points.copy()
        points[:, 2] += np.float32(1e-6 * (frame % MARKS))
        return LidarSweep(points=points)


def drive_of(source: WorldSource, num_shots: int) -> Drive:
    """Every frame of the logs of ``source``, which must be cut every 0.1 s, with sensors rendered for ``num_shots`` of them.

    Raises ``InputError`` for a source without scenes, and where nothing can be rendered.
    """
    tokens = list(source.tokens)
    if not tokens or num_shots < 1:
        raise InputError(f"A soak needs scenes and at least one of them rendered, got {len(tokens)} and {num_shots}.")
    rendered = sorted({round(place) for place in np.linspace(0, len(tokens) - 1, num_shots)})
    shots = []
    for index in rendered:
        seen = source.load(tokens[index]).observation
        if seen.lidar is None:
            raise InputError(f"Scene '{tokens[index]}' has no LiDAR sweep. Soak on logs of the embedded world.")
        shots.append(Shot(cameras=seen.cameras, lidar=seen.lidar))
    frames, logs = [], set()
    for index, token in enumerate(tokens):
        scene = source.load(token, sensors=False)
        logs.add(scene.log_name)
        frames.append(
            DriveFrame(
                history=scene.observation.ego_history,
                pose=scene.world_from_ego,
                command=scene.observation.command,
                shot=int(np.argmin(np.abs(np.array(rendered) - index))),
            )
        )
    return Drive(frames=frames, shots=shots, num_logs=len(logs))
