"""What the vehicle delivers in one cycle: each input with the time at which it was measured, usable or not."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation

T = TypeVar("T")

_MOVES_MPS = 0.5
"""A vehicle that says it is this fast cannot stay where it is."""

_DIGEST_ROWS = 64
"""So many rows of an image, or points of a sweep, tell whether it is the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """One message of one sensor."""

    stamp_us: int
    """When it was measured, microseconds on the vehicle's clock."""

    value: T | None
    """None where it could not be used."""

    fault: str = ""
    """Why it could not."""

    digest: int = 0
    """Of its content: two messages with one digest are identical, which no living sensor's are."""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.fault):
            raise InputError("Reading holds a value, or says in fault why it has none; not both, not neither.")

    @classmethod
    def of(cls, make: Callable[[], T], stamp_us: int, digest: Callable[[T], int] | None = None) -> Reading[T]:
        """What ``make`` returns; a reading with a fault where it raises ``InputError``, ``ValueError`` or ``TypeError``."""
        try:
            value = make()
        except (InputError, ValueError, TypeError) as error:
            return cls(stamp_us=stamp_us, value=None, fault=str(error) or type(error).__name__)
        return cls(stamp_us=stamp_us, value=value, digest=0 if digest is None else digest(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoMotion:
    """Where the vehicle is and how it moves."""

    history: tuple[EgoState, ...]
    """Oldest first, the last is the present; poses in its frame, as ``Observation.ego_history``."""

    odometry_pose: np.ndarray
    """[3] x, y (metres), heading (radians) of the rear axle in a frame that stands still: plans are carried over by it."""

    def __post_init__(self) -> None:
        Observation(ego_history=self.history)  # raises for a history that cannot be planned with
        pose = frozen_array(self.odometry_pose, np.float64)
        Axes("EgoMotion").check("odometry_pose", pose, "3", finite=True)
        object.__setattr__(self, "odometry_pose", pose)

    @property
    def present(self) -> EgoState:
        """The vehicle now."""
        return self.history[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleInputs:
    """What arrived since the cycle before; None and missing keys where nothing did."""

    cameras: Mapping[CameraId, Reading[CameraFrame]] = field(default_factory=dict)
    lidar: Reading[LidarSweep] | None = None
    motion: Reading[EgoMotion] | None = None
    command: Reading[DrivingCommand] | None = None


def camera_reading(make: Callable[[], CameraFrame], stamp_us: int) -> Reading[CameraFrame]:
    """Of an image, with the digest of some of its rows."""
    return Reading.of(make, stamp_us, lambda frame: _digest(frame.image))


def lidar_reading(make: Callable[[], LidarSweep], stamp_us: int) -> Reading[LidarSweep]:
    """Of a sweep, with the digest of some of its points."""
    return Reading.of(make, stamp_us, lambda sweep: _digest(sweep.points))


def motion_reading(make: Callable[[], EgoMotion], stamp_us: int) -> Reading[EgoMotion]:
    """Of the odometry, with the digest of its pose while the vehicle moves. One that stands says the same again and again."""
    return Reading.of(make, stamp_us, lambda motion: _digest(motion.odometry_pose) if _moves(motion.present) else 0)


def _moves(state: EgoState) -> bool:
    return float(np.hypot(*state.velocity)) > _MOVES_MPS


def _digest(values: np.ndarray) -> int:
    """Never 0, which stands for content that was not looked at."""
    step = max(1, len(values) // _DIGEST_ROWS)
    return zlib.crc32(values[::step].tobytes()) | 1 << 32
