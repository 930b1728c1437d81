"""In which areas of the map the ego is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.motion import Motion
from diffdrive.scoring.overlap.grid import Grid, Layer
from diffdrive.scoring.overlap.points import Points


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaMap:
    """The polygons of all scenes in one grid, and the groups of them that the rules ask for."""

    grid: Grid
    drivable: Layer
    """Roadblocks, intersections and carparks."""

    intersections: Layer
    route: Layer
    """Lanes and lane connectors of the route."""

    is_lane: Tensor
    """[polygons] lanes and lane connectors, of the route or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Where F rows are at T steps."""

    map: AreaMap
    motion: Motion
    is_corner_off: Tensor
    """[F, T, 4] the corner is in no drivable area."""

    is_nondrivable: Tensor
    """[F, T] some corner is."""

    is_oncoming: Tensor
    """[F, T] the centre is in no lane of the route."""

    is_centre_in_intersection: Tensor
    """[F, T]."""

    @classmethod
    def of(cls, area_map: AreaMap, motion: Motion) -> Areas:
        """Look up all corners and centres."""
        corners = Points.at(area_map.grid, *motion.corners(), motion.scenes)
        centres = Points.of(area_map.grid, motion.centre, motion.scenes)
        shape = motion.speed.shape
        is_corner_off = ~corners.in_any(area_map.drivable).reshape(*shape, 4)
        return cls(
            map=area_map,
            motion=motion,
            is_corner_off=is_corner_off,
            is_nondrivable=is_corner_off.any(dim=2),
            is_oncoming=~centres.in_any(area_map.route).reshape(shape),
            is_centre_in_intersection=centres.in_any(area_map.intersections).reshape(shape),
        )

    def is_in_multiple_lanes(self, ego: Motion) -> Tensor:
        """[N] for some poses: more than one lane holds a corner, and no lane holds all four."""
        corner, lane = Points.at(self.map.grid, *ego.corners(), ego.scenes).holders(self.map.is_lane)
        total = max(len(self.map.is_lane), 1)
        key, held = torch.unique(corner // 4 * total + lane, return_counts=True)
        pose, poses = key // total, len(ego.scenes)
        lanes = torch.bincount(pose, minlength=poses)
        full = torch.bincount(pose[held == 4], minlength=poses)
        return (lanes > 1) & (full == 0)

    def is_axle_in_intersection(self, ego: Motion) -> Tensor:
        """[N] for some poses: the middle of the rear axle is in an intersection."""
        return Points.of(self.map.grid, ego.rear_axle[:, None], ego.scenes).in_any(self.map.intersections)
