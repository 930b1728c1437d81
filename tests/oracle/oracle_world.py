"""The reader's way to look at a scene: shapely geometries instead of padded arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from oracle_vehicle import body

from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.scoring_scene import AreaType, ScoringScene

LANES = (AreaType.LANE, AreaType.LANE_CONNECTOR)
DRIVABLE = (AreaType.ROADBLOCK, AreaType.INTERSECTION, AreaType.CARPARK)


@dataclass(frozen=True)
class World:
    """A scene, with its geometries built once."""

    scene: ScoringScene

    @property
    def version(self) -> int:
        return 1 if self.scene.protocol is Protocol.V1 else 2

    @cached_property
    def areas(self) -> list[shapely.Polygon]:
        drivable_map = self.scene.drivable_map
        found = [shapely.Polygon(drivable_map.polygons.ring(i)) for i in range(len(drivable_map.polygons))]
        shapely.prepare(found)
        return found

    @cached_property
    def boxes(self) -> np.ndarray:
        """[A, O] polygons; None, which meets nothing, where the track is not there."""
        tracks = self.scene.tracks
        found = np.full(tracks.is_present.shape, None, dtype=object)
        found[tracks.is_present] = shapely.polygons(tracks.corners[tracks.is_present])
        return found

    @cached_property
    def red(self) -> list[shapely.Polygon]:
        polygons = self.scene.red_lights.polygons
        return [shapely.Polygon(polygons.ring(i)) for i in range(len(polygons))]

    @cached_property
    def centerline(self) -> shapely.LineString:
        return shapely.LineString(self.scene.centerline)

    def of_type(self, *types: AreaType, on_route: bool = False) -> list[int]:
        """Indices of the polygons of ``types``."""
        drivable_map = self.scene.drivable_map
        wanted = np.isin(drivable_map.types, types) & (drivable_map.on_route | (not on_route))
        return np.flatnonzero(wanted).tolist()


@dataclass(frozen=True)
class Drive:
    """One simulated drive in a world, and where it is at every step."""

    world: World
    states: np.ndarray
    """[41, 11]."""

    @cached_property
    def body(self) -> np.ndarray:
        return body(self.states)

    @cached_property
    def polygons(self) -> np.ndarray:
        return shapely.polygons(self.body[:, :4])

    @cached_property
    def speeds(self) -> np.ndarray:
        return np.hypot(self.states[:, 3], self.states[:, 4])

    @cached_property
    def inside(self) -> np.ndarray:
        """[P, 41, 6] whether each area holds each corner, the centre and the rear axle. On its edge is outside."""
        points = np.concatenate([self.body, self.states[:, None, :2]], axis=1)
        held = [shapely.contains_xy(area, points[..., 0], points[..., 1]) for area in self.world.areas]
        return np.array(held).reshape(-1, len(self.states), 6)

    @cached_property
    def is_nondrivable(self) -> np.ndarray:
        """[41] some corner is in no drivable area."""
        return ~self.inside[self.world.of_type(*DRIVABLE), :, :4].any(axis=0).all(axis=-1)

    @cached_property
    def is_in_multiple_lanes(self) -> np.ndarray:
        """[41] two lanes or more hold a corner, and none holds all four."""
        lanes = self.inside[self.world.of_type(*LANES), :, :4]
        return (lanes.any(axis=-1).sum(axis=0) > 1) & ~lanes.all(axis=-1).any(axis=0)

    @cached_property
    def is_oncoming(self) -> np.ndarray:
        """[41] the centre is in no lane of the route."""
        return ~self.inside[self.world.of_type(*LANES, on_route=True), :, 4].any(axis=0)

    @cached_property
    def centre_in_intersection(self) -> np.ndarray:
        return self.inside[self.world.of_type(AreaType.INTERSECTION), :, 4].any(axis=0)

    @cached_property
    def axle_in_intersection(self) -> np.ndarray:
        return self.inside[self.world.of_type(AreaType.INTERSECTION), :, 5].any(axis=0)

    def bearing(self, step: int, point: np.ndarray) -> float:
        """Degrees between the car's heading and the way from its rear axle to ``point``.

        NaN where rounding lifts the cosine above one: such a point is then neither ahead nor behind.
        """
        x, y, heading = self.states[step, :3]
        way = np.array([point[0] - x, point[1] - y])
        with np.errstate(invalid="ignore"):
            cosine = np.dot(way / np.linalg.norm(way), [np.cos(heading), np.sin(heading)])
            return float(np.rad2deg(np.arccos(cosine)))
