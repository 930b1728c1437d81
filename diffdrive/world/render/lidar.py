"""The LiDAR: five spinning sensors like nuPlan's, merged into one sweep in the ego frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from diffdrive.geometry import points_in_box, to_world
from diffdrive.scene import LidarSweep
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.world.render.mesh import NO_OBJECT
from diffdrive.world.render.rays import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Spinner:
    """One rotating sensor."""

    position: tuple[float, float, float]
    """In the ego frame, metres."""

    elevations_deg: tuple[float, ...]
    num_azimuths: int
    yaw_deg: float = 0.0
    field_deg: float = 360.0

    def directions(self) -> np.ndarray:
        """[elevations x azimuths, 3] unit vectors in the ego frame."""
        sweep = np.linspace(-self.field_deg / 2, self.field_deg / 2, self.num_azimuths, endpoint=False)
        azimuth, elevation = np.meshgrid(np.deg2rad(sweep + self.yaw_deg), np.deg2rad(self.elevations_deg))
        level = np.cos(elevation)
        return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=-1).reshape(-1, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarRig:
    """Sensors, reach and errors."""

    spinners: tuple[Spinner, ...]
    range_m: float = 100.0
    noise_m: float = 0.015
    """Standard deviation of the distance; errors beyond four of it do not occur."""

    dropout: float = 0.02
    """Share of returns that get lost near by; it grows to three times that at the end of the range."""


def _elevations(*bands: tuple[float, float, int]) -> tuple[float, ...]:
    return tuple(float(v) for low, high, count in bands for v in np.linspace(low, high, count))


_SIDE = _elevations((-22.0, 10.0, 18))
NUPLAN_LIDAR = LidarRig(
    spinners=(
        Spinner(
            position=(1.3, 0.0, 1.85), elevations_deg=_elevations((-25, -7, 12), (-6.2, 2, 20), (3, 15, 8)), num_azimuths=1250
        ),
        Spinner(position=(1.2, 0.65, 1.75), elevations_deg=_SIDE, num_azimuths=420, yaw_deg=60, field_deg=260),
        Spinner(position=(1.2, -0.65, 1.75), elevations_deg=_SIDE, num_azimuths=420, yaw_deg=-60, field_deg=260),
        Spinner(position=(3.7, 0.0, 0.7), elevations_deg=_SIDE, num_azimuths=420, field_deg=260),
        Spinner(position=(-1.0, 0.0, 0.9), elevations_deg=_SIDE, num_azimuths=420, yaw_deg=180, field_deg=260),
    )
)
"""One sensor on the roof, two at its sides, one in each bumper: about 80 000 rays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep and what each point lies on."""

    sweep: LidarSweep
    objects: np.ndarray
    """[N] row of the agent hit, or ``NO_OBJECT``."""


def scan(
    stage: Stage,
    ego_pose: np.ndarray,
    rng: np.random.Generator,
    *,
    rig: LidarRig = NUPLAN_LIDAR,
    dimensions: VehicleDimensions = PACIFICA,
) -> Sweep:
    """Cast all rays from the ego at ``ego_pose`` [3] (town frame). ``rng`` draws the errors; the ego itself is never hit."""
    origins, directions = _rays(rig)
    hits = stage.cast(_placed(origins, ego_pose), _turned(directions, ego_pose))
    # Errors are drawn for every ray, hit or not: one body more in the scene leaves all other points as they were.
    error = np.clip(rng.standard_normal(len(origins)), -4, 4) * rig.noise_m
    luck = rng.random(len(origins))
    reached = np.minimum(hits.distances, rig.range_m)
    kept = (hits.distances < rig.range_m) & (luck > rig.dropout * (1 + 2 * (reached / rig.range_m) ** 2))
    distances = np.clip(reached + error, 0.0, rig.range_m)
    points = (origins + directions * distances[:, None]).astype(np.float32)
    own = points_in_box(points[:, :2], dimensions.boxes(np.zeros(3))) & (points[:, 2] < dimensions.height)
    kept &= ~own
    objects = np.where(kept, hits.objects, NO_OBJECT)
    return Sweep(sweep=LidarSweep(points=points[kept]), objects=objects[kept])


@lru_cache(maxsize=4)
def _rays(rig: LidarRig) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions [N, 3] of all rays in the ego frame."""
    directions = [spinner.directions() for spinner in rig.spinners]
    origins = [np.broadcast_to(s.position, d.shape) for s, d in zip(rig.spinners, directions, strict=True)]
    return np.concatenate(origins), np.concatenate(directions)


def _placed(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    return np.concatenate([to_world(points[:, :2], pose), points[:, 2:]], axis=1)


def _turned(vectors: np.ndarray, pose: np.ndarray) -> np.ndarray:
    return np.concatenate([to_world(vectors[:, :2], np.array([0.0, 0.0, pose[2]])), vectors[:, 2:]], axis=1)
