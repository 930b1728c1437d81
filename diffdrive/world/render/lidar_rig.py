"""LiDAR sensors on the car: their rays, when each is cast, and from where while the car moves.

A sensor turns once in ``LidarRig.period_s``. All sensors of a rig turn counter-clockwise together; the sweep starts and ends
facing backwards, so that its seam is behind the car, and it ends at the frame's time. A ray is cast from where its sensor was
at the ray's own time, with velocity and yaw rate of the frame held over the sweep, and its point is given in the ego frame of
the frame's time. So the ego's own motion is compensated, as nuPlan's sweeps are. Other road users stand where they are
annotated, all through the sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Spinner:
    """One rotating sensor."""

    position: tuple[float, float, float]
    """In the ego frame, metres."""

    elevations_deg: tuple[float, ...]
    num_azimuths: int
    yaw_deg: float = 0.0
    field_deg: float = 360.0

    @property
    def azimuths(self) -> np.ndarray:
        """[num_azimuths] of the rays in the ego frame, radians in [-pi, pi)."""
        sweep = np.linspace(-self.field_deg / 2, self.field_deg / 2, self.num_azimuths, endpoint=False)
        return (np.deg2rad(sweep + self.yaw_deg) + np.pi) % (2 * np.pi) - np.pi


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarRig:
    """Sensors, reach and errors."""

    spinners: tuple[Spinner, ...]
    range_m: float = 100.0
    step_m: float = 0.004
    """Distances come in whole steps, as a real sensor tells them."""

    period_s: float = 0.1
    noise_m: float = 0.015
    """Standard deviation of the distance; errors beyond four of it do not occur."""

    dropout: float = 0.02
    """Share of returns that get lost on any surface at any distance."""

    reach_m: float = 150.0
    """Distance at which a surface that reflects a tenth of the light and faces the sensor answers nine times in ten."""

    def __post_init__(self) -> None:
        if not 0 < self.range_m / self.step_m < 2**16:
            raise InputError(
                f"LidarRig.step_m must be positive and divide range_m into fewer than {2**16} steps, "
                f"got {self.step_m} m and {self.range_m} m."
            )

    @property
    def num_rays(self) -> int:
        return sum(spinner.num_azimuths * len(spinner.elevations_deg) for spinner in self.spinners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How the car moves during a sweep."""

    forward: float = 0.0
    """Velocity of the rear axle along the car's own axes, m/s."""

    left: float = 0.0
    yaw_rate: float = 0.0
    """rad/s"""

    def poses(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions [N, 2] and headings [N] at ``times`` [N] seconds, in the car's own frame at time zero."""
        headings = self.yaw_rate * times
        # Along a circle: sin(h) / h and (1 - cos(h)) / h, both without a division by a rate of zero.
        along, aside = np.sinc(headings / np.pi), headings / 2 * np.sinc(headings / (2 * np.pi)) ** 2
        positions = np.stack([self.forward * along - self.left * aside, self.forward * aside + self.left * along], axis=-1)
        return positions * times[:, None], headings


def lines(rig: LidarRig, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions of all rays, [N, 3] float32 each, in the ego frame of the frame's time.

    Rays go spinner by spinner, elevation by elevation, azimuth by azimuth.
    """
    origins, directions = np.empty((2, rig.num_rays, 3), dtype=np.float32)
    first = 0
    for spinner in rig.spinners:
        # A column of rays shares an azimuth and so a time.
        positions, headings = motion.poses(rig.period_s * (spinner.azimuths / (2 * np.pi) - 0.5))
        cos, sin = np.cos(headings).astype(np.float32), np.sin(headings).astype(np.float32)
        own = _directions(spinner)
        last = first + len(own) * spinner.num_azimuths
        turned, start = (v[first:last].reshape(len(own), spinner.num_azimuths, 3) for v in (directions, origins))
        turned[..., 0] = cos * own[..., 0] - sin * own[..., 1]
        turned[..., 1] = sin * own[..., 0] + cos * own[..., 1]
        turned[..., 2] = own[..., 2]
        x, y, start[..., 2] = spinner.position
        start[..., 0] = positions[:, 0] + cos * x - sin * y
        start[..., 1] = positions[:, 1] + sin * x + cos * y
        first = last
    return origins, directions


def placed(vectors: np.ndarray, pose: np.ndarray, *, are_points: bool) -> np.ndarray:
    """Points or directions [N, 3] of the ego frame in the frame in which the ego's pose is ``pose`` [3], float32."""
    c, s = np.float32(np.cos(pose[2])), np.float32(np.sin(pose[2]))
    moved = np.empty_like(vectors)
    moved[:, 0] = c * vectors[:, 0] - s * vectors[:, 1]
    moved[:, 1] = s * vectors[:, 0] + c * vectors[:, 1]
    moved[:, 2] = vectors[:, 2]
    if are_points:
        moved[:, :2] += pose[:2].astype(np.float32)
    return moved


def points_from_steps(rig: LidarRig, motion: Motion, steps: np.ndarray) -> np.ndarray:
    """Points [returns, 3] in the ego frame, metres, float32, of distances [N] in whole steps, zero where nothing came back."""
    return along(rig, *lines(rig, motion), np.flatnonzero(steps), steps[steps > 0])


def along(rig: LidarRig, origins: np.ndarray, directions: np.ndarray, rows: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Points [R, 3] on the rays with indices ``rows``, ``steps`` [R] whole steps from their origins, float32."""
    points = np.take(directions, rows, axis=0)
    points *= (steps.astype(np.float32) * np.float32(rig.step_m))[:, None]
    points += np.take(origins, rows, axis=0)
    return points


@lru_cache(maxsize=64)
def _directions(spinner: Spinner) -> np.ndarray:
    """[elevations, azimuths, 3] unit vectors in the ego frame, float32."""
    azimuth, elevation = np.meshgrid(spinner.azimuths, np.deg2rad(spinner.elevations_deg))
    level = np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=-1).astype(np.float32)


def _elevations(*bands: tuple[float, float, int]) -> tuple[float, ...]:
    return tuple(float(v) for low, high, count in bands for v in np.linspace(low, high, count))


_SIDE = _elevations((-22.0, 10.0, 18))
NUPLAN_LIDAR = LidarRig(
    spinners=(
        Spinner(
            position=(1.3, 0.0, 1.85), elevations_deg=_elevations((-25, -7, 12), (-6.2, 2, 20), (3, 15, 8)), num_azimuths=1440
        ),
        Spinner(position=(1.2, 0.65, 1.75), elevations_deg=_SIDE, num_azimuths=480, yaw_deg=60, field_deg=260),
        Spinner(position=(1.2, -0.65, 1.75), elevations_deg=_SIDE, num_azimuths=480, yaw_deg=-60, field_deg=260),
        Spinner(position=(3.7, 0.0, 0.7), elevations_deg=_SIDE, num_azimuths=480, field_deg=260),
        Spinner(position=(-1.0, 0.0, 0.9), elevations_deg=_SIDE, num_azimuths=480, yaw_deg=180, field_deg=260),
    )
)
"""One sensor on the roof, two at its sides, one in each bumper."""
