"""Observations to measure with, made from a seed: the sizes of a real frame, and different every time they come round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation

NUM_OBSERVATIONS = 7
"""Odd, so that with turns of A B and B A every observation is met first by both. Together larger than any cache."""

_BLOCK = 30
_CAMERAS = (CameraId.L0, CameraId.F0, CameraId.R0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSizes:
    """What a synthetic frame holds."""

    image_size: tuple[int, int] = (1080, 1920)
    """Rows and columns of each of the three images; multiples of 30."""

    num_points: int = 100_000

    def __post_init__(self) -> None:
        rows, columns = self.image_size
        if min(rows, columns, self.num_points) < 1 or rows % _BLOCK or columns % _BLOCK:
            raise InputError(
                f"FrameSizes needs points and an image of multiples of {_BLOCK} pixels, "
                f"got {self.num_points} points and {columns} x {rows}."
            )


class FrameCycle:
    """The observations of frame i, for a batch of ``batch_size``; after the last observation comes the first."""

    def __init__(self, observations: Sequence[Observation], batch_size: int) -> None:
        self._observations = tuple(observations)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self._observations)

    def __getitem__(self, index: int) -> list[Observation]:
        first = index * self.batch_size
        return [self._observations[(first + offset) % len(self)] for offset in range(self.batch_size)]


def synthetic_observations(
    count: int = NUM_OBSERVATIONS, *, seed: int = 0, sizes: FrameSizes | None = None
) -> tuple[Observation, ...]:
    """``count`` frames of noise with the statistics of a drive: patches of colour, and points that thin out with range."""
    sizes = sizes or FrameSizes()
    rng = np.random.default_rng(seed)
    return tuple(_observation(rng, sizes) for _ in range(count))


def image_size(observation: Observation) -> tuple[int, int]:
    """Rows and columns of the images of an observation that has some."""
    rows, columns = next(iter(observation.cameras.values())).image.shape[:2]
    return rows, columns


def _observation(rng: np.random.Generator, sizes: FrameSizes) -> Observation:
    velocity = np.array([rng.uniform(0, 15), rng.normal(0, 0.2)])
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=velocity, acceleration=rng.normal(0, 1, 2))
    cameras = {
        camera: CameraFrame(image=_image(rng, *sizes.image_size), intrinsics=np.eye(3), ego_from_camera=np.eye(4))
        for camera in _CAMERAS
    }
    return Observation(
        ego_history=(ego,),
        command=DrivingCommand(int(rng.integers(len(DrivingCommand)))),
        cameras=cameras,
        lidar=LidarSweep(points=_points(rng, sizes.num_points)),
    )


def _image(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    patches = rng.integers(16, 224, (rows // _BLOCK, columns // _BLOCK, 3), dtype=np.uint8)
    image = patches.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
    return image + rng.integers(0, 32, image.shape, dtype=np.uint8)


def _points(rng: np.random.Generator, count: int) -> np.ndarray:
    distance, bearing = rng.exponential(15.0, count) + 2.0, rng.uniform(-np.pi, np.pi, count)
    # Half the returns of a sweep come from the ground.
    height = np.where(rng.random(count) < 0.5, rng.normal(0.0, 0.05, count), rng.uniform(0.0, 6.0, count))
    return np.stack((distance * np.cos(bearing), distance * np.sin(bearing), height), axis=1).astype(np.float32)
