"""Compare the sensor features with arrays recorded from the public DiffusionDrive implementation.

    python tools/parity_features.py FILE.npz [--salt S]

The raw images and points are not stored: they are drawn again from the salt. One line per array and a verdict; the exit
status is 0 when every array agrees, 1 when one does not, 2 when the file cannot be used.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation
from diffdrive.tensors import InputLayout

CAMERA_TOLERANCE = 1 / 255
"""Of the image in 0..1: one step of the stored uint8."""

MEAN_TOLERANCE = 2e-5
"""Of the channel means in 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One array against its golden counterpart."""

    name: str
    max_difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return self.max_difference <= self.tolerance


def raw_observation(salt: str) -> Observation:
    """The recorded raw inputs, drawn again: three 1080p images, a sweep of 60 000 points, the ego status."""
    rng = np.random.default_rng(zlib.crc32(f"{salt}:raw".encode()))
    cameras = {}
    for camera in (CameraId.L0, CameraId.F0, CameraId.R0):
        coarse = rng.integers(0, 256, (135, 240, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        fine = rng.integers(0, 64, (1080, 1920, 3), np.uint8)
        image = (coarse // 4 * 3 + fine).astype(np.uint8)
        cameras[camera] = CameraFrame(image=image, intrinsics=np.eye(3), ego_from_camera=np.eye(4))
    points = np.concatenate([rng.normal(0, 15, (2, 60000)), rng.normal(0, 2, (1, 60000)), rng.random((3, 60000))])
    points = points.astype(np.float32)[:3].T.copy()
    points[:8] = [
        (32, 32, 1),
        (-32, -32, 1),
        (0, 0, 0.2),
        (0, 0, 0.2001),
        (31.99, 0, 150),
        (32.01, 0, 1),
        (0, -32, 99.9),
        (5, 5, -1),
    ]
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.array([5, 0.1]), acceleration=np.array([0.2, 0]))
    return Observation(ego_history=(ego,), command=DrivingCommand.STRAIGHT, cameras=cameras, lidar=LidarSweep(points=points))


def compare(golden: Mapping[str, np.ndarray], salt: str) -> list[Comparison]:
    """Every golden array against ours. Raises ``InputError`` where the file lacks one."""
    layout = InputLayout()
    inputs = build_inputs(raw_observation(salt), layout)
    camera = inputs.camera[0].numpy()
    ours = {
        "camera_uint8_chw_sub4": (camera[:, ::4, ::4] * 255, CAMERA_TOLERANCE * 255),
        "camera_mean": (camera.mean(axis=(1, 2), dtype=np.float64), MEAN_TOLERANCE),
        "lidar_count": (inputs.lidar[0].numpy() * layout.lidar_max_count, 1e-5),
        "status": (inputs.status[0].numpy(), 0.0),
    }
    missing = sorted(set(ours) - set(golden))
    if missing:
        raise InputError(f"The file lacks {', '.join(missing)}: it does not hold recorded features.")
    return [
        Comparison(name=name, max_difference=_difference(value, golden[name]), tolerance=tolerance)
        for name, (value, tolerance) in ours.items()
    ]


def _difference(ours: np.ndarray, golden: np.ndarray) -> float:
    if ours.shape != golden.shape:
        return float("inf")
    return float(np.abs(ours.astype(np.float64) - golden.astype(np.float64)).max())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="recorded features, .npz")
    parser.add_argument("--salt", default="a", help="what the raw inputs were drawn from (default: a)")
    args = parser.parse_args(arguments)
    try:
        with np.load(args.file) as archive:
            results = compare(dict(archive), args.salt)
    except (OSError, ValueError) as error:
        print(f"cannot compare with '{args.file}': {error}", file=sys.stderr)
        return 2
    for result in results:
        word = "ok  " if result.agrees else "FAIL"
        print(f"{word} {result.name:24s} max |difference| {result.max_difference:.3g} (allowed {result.tolerance:.3g})")
    agree = sum(result.agrees for result in results)
    print(f"{'PASS' if agree == len(results) else 'FAIL'}: {agree} of {len(results)} arrays agree")
    return 0 if agree == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
