"""In which areas of the map the ego is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.motion import Motion
from diffdrive.scoring.overlap.grid import Grid, Layer
from diffdrive.scoring.overlap.points import holders, in_any


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

    is_oncoming: Tensor
    """[F, T] the centre is in no lane of the route."""

    is_centre_in_intersection: Tensor
    """[F, T]."""

    @classmethod
    def of(cls, area_map: AreaMap, motion: Motion) -> Areas:
        """Look up all corners and centres."""
        grid, corners, centres = area_map.grid, motion.corners(), motion.centre
        corner_cells = grid.locate(corners.reshape(-1, 2), motion.scenes_of(corners.shape))
        centre_cells = grid.locate(centres.reshape(-1, 2), motion.scenes_of(centres.shape))
        return cls(
            map=area_map,
            motion=motion,
            is_corner_off=~in_any(grid, area_map.drivable, corner_cells).reshape(corners.shape[:3]),
            is_oncoming=~in_any(grid, area_map.route, centre_cells).reshape(centres.shape[:2]),
            is_centre_in_intersection=in_any(grid, area_map.intersections, centre_cells).reshape(centres.shape[:2]),
        )

    @property
    def is_nondrivable(self) -> Tensor:
        """[F, T] some corner is in no drivable area."""
        return self.is_corner_off.any(dim=2)

    def is_off_lane(self, row: Tensor, step: Tensor) -> Tensor:
        """[N] for pairs of a row and a step: in several lanes at once, or with a corner in no drivable area."""
        found = self.is_corner_off[row, step].any(dim=1)
        rest = (~found).nonzero()[:, 0]
        found[rest] = self.is_in_multiple_lanes(row[rest], step[rest])
        return found

    def is_in_multiple_lanes(self, row: Tensor, step: Tensor) -> Tensor:
        """[N] for pairs of a row and a step: more than one lane holds a corner, and no lane holds all four."""
        corners = self.motion.corners_at(row, step)
        cells = self.map.grid.locate(corners.reshape(-1, 2), self.motion.scenes[row].repeat_interleave(4))
        corner, lane = holders(self.map.grid, self.map.is_lane, cells)
        total = len(self.map.is_lane)
        key, held = torch.unique(corner // 4 * total + lane, return_counts=True)
        pose = key // max(total, 1)
        lanes = torch.bincount(pose, minlength=len(row))
        full = torch.bincount(pose[held == 4], minlength=len(row))
        return (lanes > 1) & (full == 0)

    def is_axle_in_intersection(self, row: Tensor, step: Tensor) -> Tensor:
        """[N] for pairs of a row and a step: the middle of the rear axle is in an intersection."""
        points = self.motion.rear_axle[row, step]
        return in_any(self.map.grid, self.map.intersections, self.map.grid.locate(points, self.motion.scenes[row]))
