"""Points against polygons and lines of a grid."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scoring.overlap.grid import Grid, Layer, Located
from diffdrive.scoring.overlap.ragged import ragged


def in_any(grid: Grid, layer: Layer, located: Located) -> Tensor:
    """[N] whether each point is strictly inside some polygon of the layer; on an edge is outside."""
    found = layer.is_covered[located.slot]
    point, place = ragged(layer.entry_offsets, located.slot)
    inside = is_inside(grid, located, point, layer.entries[place])
    found[point[inside]] = True
    return found


def holders(grid: Grid, is_member: Tensor, located: Located) -> tuple[Tensor, Tensor]:
    """Pairs of a point and a polygon among ``is_member`` [polygons] that holds it strictly: indices of both."""
    point, entry = grid.entries_at(located)
    kept = is_member[grid.owners[entry]]
    point, entry = point[kept], entry[kept]
    inside = is_inside(grid, located, point, entry)
    return point[inside], grid.owners[entry[inside]]


def is_inside(grid: Grid, located: Located, point: Tensor, entry: Tensor) -> Tensor:
    """[P] for pairs of a point and an entry of its cell: whether the point is strictly inside the entry's polygon.

    Every edge between the point and the centre of the cell changes the side. All edges that cross this way are the entry's,
    because the way stays in the cell.
    """
    pair, piece = ragged(grid.piece_offsets, entry)
    holder = point[pair]
    dx, dy = located.local[holder].unbind(1)
    ends = grid.segments[piece] - located.centre[holder].repeat(1, 2)
    ax, ay, bx, by = ends.unbind(1)
    # Which side of the way each end is on; a vertex exactly on the way counts to one side for both of its edges.
    splits = (dx * ay - dy * ax > 0) != (dx * by - dy * bx > 0)
    point_side = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
    parts = (point_side > 0) != (ax * by - ay * bx > 0)
    on_edge = (point_side == 0) & ((ax - dx) * (bx - dx) + (ay - dy) * (by - dy) <= 0)
    crossings = torch.zeros(len(entry), dtype=torch.int64, device=entry.device)
    crossings.index_add_(0, pair, (splits & parts).to(torch.int64))
    inside = grid.is_inside[entry] ^ (crossings % 2 == 1)
    inside[pair[on_edge]] = False
    return inside


def is_near(grid: Grid, located: Located, distance: float) -> Tensor:
    """[N] whether each point is within ``distance`` (at most the grid's margin) of a line, the limit included."""
    point, entry = grid.entries_at(located)
    pair, piece = ragged(grid.piece_offsets, entry)
    holder = point[pair]
    near = torch.zeros(len(located.slot), dtype=torch.bool, device=located.slot.device)
    near[holder[distance_to_segments(located.points[holder], grid.segments[piece])[0] <= distance]] = True
    return near


def distance_to_segments(points: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
    """Distances [...] of points [..., 2] to segments [..., 4], and which share 0..1 of the segment comes before the foot."""
    px, py = points.unbind(-1)
    ax, ay, bx, by = segments.unbind(-1)
    step_x, step_y, way_x, way_y = bx - ax, by - ay, px - ax, py - ay
    squared = step_x * step_x + step_y * step_y
    share = (way_x * step_x + way_y * step_y) / squared
    share = torch.where(squared > 0, share, 0.0)
    across = (way_y * step_x - way_x * step_y).abs() / squared.sqrt()
    ends = torch.where(share > 0.5, torch.hypot(px - bx, py - by), torch.hypot(way_x, way_y))
    beside = (share > 0) & (share < 1)
    return torch.where(beside, across, ends), share.clamp(0.0, 1.0)
