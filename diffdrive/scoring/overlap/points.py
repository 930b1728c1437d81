"""Points against polygons and lines of a grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.scoring.overlap.grid import Grid, Layer
from diffdrive.scoring.overlap.ragged import ragged


@dataclass(frozen=True, slots=True)
class Points:
    """M points to look up in a grid. Coordinates lie apart, so that arithmetic runs over whole stretches of memory."""

    grid: Grid
    x: Tensor
    """[M]."""

    y: Tensor
    """[M]."""

    slot: Tensor
    """[M] of the cells that they are in."""

    @classmethod
    def of(cls, grid: Grid, positions: Tensor, scenes: Tensor) -> Points:
        """From ``positions`` [F, ..., 2] in the scenes ``scenes`` [F], flattened to M."""
        x, y = positions.unbind(-1)
        return cls.at(grid, x.contiguous(), y.contiguous(), scenes)

    @classmethod
    def at(cls, grid: Grid, x: Tensor, y: Tensor, scenes: Tensor) -> Points:
        """From ``x`` and ``y`` [F, ...], likewise."""
        return cls(grid, x.flatten(), y.flatten(), grid.locate(x.flatten(1), y.flatten(1), scenes))

    def in_any(self, layer: Layer) -> Tensor:
        """[M] whether each point is strictly inside some polygon of the layer; on an edge is outside."""
        found = layer.is_covered.index_select(0, self.slot)
        open_points = layer.has_entries.index_select(0, self.slot).nonzero()[:, 0]
        row, place = ragged(layer.entry_offsets, self.slot.index_select(0, open_points))
        point = open_points.index_select(0, row)
        inside = self.is_inside(point, layer.entries.index_select(0, place))
        found[point[inside]] = True
        return found

    def holders(self, is_member: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs of a point and a polygon among ``is_member`` [polygons] that holds it strictly: indices of both."""
        point, entry = self.grid.entries_at(self.slot)
        kept = is_member.index_select(0, self.grid.owners.index_select(0, entry)).nonzero()[:, 0]
        point, entry = point.index_select(0, kept), entry.index_select(0, kept)
        inside = self.is_inside(point, entry)
        return point[inside], self.grid.owners[entry[inside]]

    def is_inside(self, point: Tensor, entry: Tensor) -> Tensor:
        """[P] for pairs of a point and an entry of its cell: whether the point is strictly inside the entry's polygon.

        Every edge between the point and the centre of the cell changes the side. All edges that cross this way are the
        entry's, because the way stays in the cell.
        """
        pair, piece = ragged(self.grid.piece_offsets, entry)
        # All seen from the point, so that an edge through it has a cross product of exactly zero.
        x, y = self.x.index_select(0, point), self.y.index_select(0, point)
        slot = self.slot.index_select(0, point)
        way_x = (self.grid.centres[0].index_select(0, slot) - x).index_select(0, pair)
        way_y = (self.grid.centres[1].index_select(0, slot) - y).index_select(0, pair)
        x, y = x.index_select(0, pair), y.index_select(0, pair)
        ax, ay, bx, by = (
            ends.index_select(0, piece).sub_(here) for ends, here in zip(self.grid.segments, (x, y, x, y), strict=True)
        )
        # Which side of the way each end is on; a vertex exactly on the way counts to one side for both of its edges.
        splits = (way_x * ay > way_y * ax) != (way_x * by > way_y * bx)
        left, right = ax * by, ay * bx
        parts = (left > right) != self.grid.is_centre_left.index_select(0, piece)
        crossings = torch.zeros(len(entry), dtype=torch.int64, device=entry.device)
        crossings.index_add_(0, pair, (splits & parts).to(torch.int64))
        inside = self.grid.is_inside.index_select(0, entry) ^ (crossings % 2 == 1)
        in_line = (left == right).nonzero()[:, 0]
        on_edge = ax[in_line] * bx[in_line] + ay[in_line] * by[in_line] <= 0
        inside[pair[in_line[on_edge]]] = False
        return inside

    def is_near(self, distance: float) -> Tensor:
        """[M] whether each point is within ``distance`` (at most the grid's margin) of a line, the limit included."""
        point, entry = self.grid.entries_at(self.slot)
        pair, piece = ragged(self.grid.piece_offsets, entry)
        holder = point.index_select(0, pair)
        px, py = self.x.index_select(0, holder), self.y.index_select(0, holder)
        ax, ay, bx, by = (ends.index_select(0, piece) for ends in self.grid.segments)
        step_x, step_y, from_x, from_y, to_x, to_y = bx - ax, by - ay, px - ax, py - ay, px - bx, py - by
        limit = distance * distance
        across = from_x * step_y - from_y * step_x
        beside = (from_x * step_x + from_y * step_y > 0) & (to_x * step_x + to_y * step_y < 0)
        near = beside & (across * across <= limit * (step_x * step_x + step_y * step_y))
        near |= (from_x * from_x + from_y * from_y <= limit) | (to_x * to_x + to_y * to_y <= limit)
        found = torch.zeros(len(self.slot), dtype=torch.bool, device=self.slot.device)
        found[holder[near]] = True
        return found
