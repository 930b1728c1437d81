"""What the car may know at t = 0. There is no place here for the future, for annotated agents or for the map."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.scene.ego import EgoState


class CameraId(enum.Enum):
    """NAVSIM's eight camera positions."""

    F0 = "f0"
    L0 = "l0"
    L1 = "l1"
    L2 = "l2"
    R0 = "r0"
    R1 = "r1"
    R2 = "r2"
    B0 = "b0"


class DrivingCommand(enum.IntEnum):
    """Where the route goes, in the order of the one-hot status vector."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3

    @classmethod
    def from_one_hot(cls, numbers: Any) -> DrivingCommand:
        """The command of NAVSIM's four numbers [4]: the one that is 1; unknown where all are 0.

        Raises ``InputError`` for anything else.
        """
        values = np.asarray(numbers, dtype=np.float64)
        is_set = values == 1.0
        if values.shape != (len(cls),) or np.count_nonzero(values) != is_set.sum() or is_set.sum() > 1:
            raise InputError(
                f"driving_command must be one-hot over left, straight, right and unknown, got {values.tolist()}. "
                "Check the log it was read from."
            )
        return cls(int(is_set.argmax())) if is_set.any() else cls.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFrame:
    """One undistorted image and where it was taken from."""

    image: np.ndarray
    """[H, W, 3] RGB, uint8."""

    intrinsics: np.ndarray
    """[3, 3] pinhole matrix, pixels of this image."""

    ego_from_camera: np.ndarray
    """[4, 4] camera (x right, y down, z forward) to ego frame, metres."""

    encoded: bytes | None = None
    """The image file that ``image`` was decoded from, where the source has it: a smaller form to keep."""

    def __post_init__(self) -> None:
        axes = Axes("CameraFrame")
        if getattr(self.image, "dtype", None) != np.uint8:
            given = getattr(self.image, "dtype", type(self.image).__name__)
            raise InputError(f"CameraFrame.image must be uint8 RGB, got {given}. Convert to 0..255 first.")
        axes.check("image", self.image, "H W 3")
        object.__setattr__(self, "image", frozen_array(self.image, np.uint8))
        for name, contract in (("intrinsics", "3 3"), ("ego_from_camera", "4 4")):
            array = frozen_array(getattr(self, name), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarSweep:
    """One merged sweep, motion-compensated to t = 0."""

    points: np.ndarray
    """[N, 3] x, y, z in the ego frame, metres, float32."""

    def __post_init__(self) -> None:
        points = frozen_array(self.points, np.float32)
        Axes("LidarSweep").check("points", points, "N 3", finite=True)
        object.__setattr__(self, "points", points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Ego motion up to now, the sensors now, and the command that the planned route implies."""

    ego_history: tuple[EgoState, ...]
    """Oldest first; the last is the present, with pose zero."""

    command: DrivingCommand = DrivingCommand.UNKNOWN
    cameras: Mapping[CameraId, CameraFrame] = field(default_factory=dict)
    lidar: LidarSweep | None = None

    def __post_init__(self) -> None:
        if not self.ego_history:
            raise InputError("Observation.ego_history must hold at least the present state.")
        times = [state.timestamp_us for state in self.ego_history]
        if sorted(set(times)) != times:
            raise InputError(f"Observation.ego_history must be in strictly increasing time, got {times} us.")
        if not np.allclose(self.ego.pose, 0.0, atol=1e-6):
            raise InputError(
                f"Observation's present pose must be the origin of its frame, got {self.ego.pose.tolist()}. "
                "Express the history in the frame of its last pose (diffdrive.geometry.to_local)."
            )
        object.__setattr__(self, "cameras", dict(self.cameras))

    @property
    def ego(self) -> EgoState:
        """The present state."""
        return self.ego_history[-1]
