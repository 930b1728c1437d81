"""A square grid over the shapes of one scene, so that a point looks at few pieces of few shapes. Numpy, once a scene.

Shapes are polygons (closed) or lines (open), cut into pieces: straight segments. A cell knows the shapes that come within
``margin`` of it (its entries), with the pieces that do, and whether the cell's centre lies inside the shape. Whether a point of
the cell is inside then follows from the few pieces between it and the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.scoring.polygons import Polygons

CELL_SIZE_M = 2.0
"""Small enough that few polygons have an edge in a cell."""

MAX_CELLS_A_SIDE = 256
"""Cells grow beyond this, so that one far vertex costs no memory."""

_SLACK_M = 1e-6
"""More than any rounding of coordinates: a piece that touches a cell is never missed."""

_SHIFT = (0.3819660112501051, 0.2451223337533073)
"""Shares of a cell by which the grid is moved off its shapes, so that no edge between round coordinates meets the centre of a
cell: irrational, and different along x and y because of diagonals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """E entries in a grid of nx x ny cells over M pieces."""

    origin: np.ndarray
    """[2] lower corner of the first cell."""

    size: float
    """Metres, of a cell."""

    shape: tuple[int, int]
    slots: np.ndarray
    """[nx * ny] number of a cell among the L that have entries, or -1; the cell (i, j) is at i * ny + j."""

    centres: np.ndarray
    """[L, 2] of the cells that have entries."""

    entry_offsets: np.ndarray
    """[L + 1] where each cell's entries begin."""

    owners: np.ndarray
    """[E] index of the shape."""

    is_inside: np.ndarray
    """[E] whether the shape holds the cell's centre; always false for lines."""

    piece_offsets: np.ndarray
    """[E + 1] where each entry's pieces begin. None means that the cell lies inside the shape as a whole."""

    pieces: np.ndarray
    """[Q] index of a piece."""

    is_centre_left: np.ndarray
    """[Q] whether the cell's centre is to the left of the piece."""

    segments: np.ndarray
    """[M, 4] from x, y to x, y."""

    num_shapes: int


def cells_of_polygons(polygons: Polygons, origin: np.ndarray, margin: float = 0.0) -> Cells:
    """The grid over ``polygons``, with coordinates relative to ``origin`` [2]."""
    vertices = polygons.vertices - origin
    following = np.arange(1, len(vertices) + 1)
    following[polygons.offsets[1:] - 1] = polygons.offsets[:-1]
    owners = np.repeat(np.arange(len(polygons)), np.diff(polygons.offsets))
    return _build(np.concatenate([vertices, vertices[following % max(len(vertices), 1)]], axis=1), owners, margin, closed=True)


def cells_of_line(points: np.ndarray, origin: np.ndarray, margin: float) -> Cells:
    """The grid over one line [K, 2], with coordinates relative to ``origin`` [2]."""
    moved = points - origin
    return _build(np.concatenate([moved[:-1], moved[1:]], axis=1), np.zeros(len(points) - 1, np.int64), margin, closed=False)


def _build(segments: np.ndarray, owners: np.ndarray, margin: float, *, closed: bool) -> Cells:
    origin, size, shape = _frame(segments, margin)
    shapes = int(owners.max(initial=-1)) + 1
    shape_bits, piece_bits = shapes.bit_length(), len(segments).bit_length()
    local = segments - np.tile(origin, 2)
    cell, piece = _near(local, size, shape, margin + _SLACK_M)
    # Sorted by cell, then shape, then piece: numbers sort much faster than rows.
    key = np.sort(((cell << shape_bits | owners[piece]) << piece_bits) | piece)
    key, piece = key >> piece_bits, key & (1 << piece_bits) - 1
    first = _firsts(key)
    inner = np.sort(_holding(local, owners, size, shape, shape_bits)) if closed else np.zeros(0, np.int64)
    entries, counts, is_inside = _merged(key[first], np.diff(first, append=len(key)), inner)
    cell, owner = entries >> shape_bits, entries & (1 << shape_bits) - 1
    starts = _firsts(cell)
    used = cell[starts]
    slots = np.full(shape[0] * shape[1], -1, dtype=np.int32)
    slots[used] = np.arange(len(used))
    centres = origin + (np.stack(np.divmod(used, shape[1]), axis=1) + 0.5) * size
    return Cells(
        origin=origin,
        size=size,
        shape=shape,
        slots=slots,
        centres=centres,
        entry_offsets=np.append(starts, len(entries)),
        owners=owner,
        is_inside=is_inside,
        piece_offsets=np.concatenate([[0], np.cumsum(counts)]),
        pieces=piece,
        is_centre_left=_is_left(np.repeat(centres[slots[cell]], counts, axis=0), segments[piece]),
        segments=segments,
        num_shapes=shapes,
    )


def _firsts(numbers: np.ndarray) -> np.ndarray:
    """Where each run of equal numbers begins in a sorted array."""
    return np.flatnonzero(np.diff(numbers, prepend=-1))


def _merged(bounded: np.ndarray, counts: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All entries, sorted, their numbers of pieces and whether the centre is inside: from the entries with pieces and the
    entries whose centre is inside, both sorted."""
    place = np.searchsorted(bounded, inner)
    is_known = np.append(bounded, -1)[place] == inner
    is_inside = np.zeros(len(bounded), dtype=bool)
    is_inside[place[is_known]] = True
    place, whole = place[~is_known], inner[~is_known]
    return np.insert(bounded, place, whole), np.insert(counts, place, 0), np.insert(is_inside, place, True)


def _frame(segments: np.ndarray, margin: float) -> tuple[np.ndarray, float, tuple[int, int]]:
    """A ring of free cells lies around everything, so that points far away can be looked up in it."""
    if len(segments) == 0:
        return np.zeros(2), CELL_SIZE_M, (1, 1)
    x, y = segments[:, 0::2], segments[:, 1::2]
    low, high = np.array([x.min(), y.min()]) - margin, np.array([x.max(), y.max()]) + margin
    size = max(CELL_SIZE_M, float((high - low).max()) / (MAX_CELLS_A_SIDE - 4))
    count = np.ceil((high - low) / size).astype(np.int64) + 4
    return low - (1 + np.array(_SHIFT)) * size, size, (int(count[0]), int(count[1]))


def _near(local: np.ndarray, size: float, shape: tuple[int, int], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells and pieces that come within ``reach`` of each other (and a few more at the corners), as two lists."""
    x0, y0, x1, y1 = local.T
    low_i, high_i = _range(x0, x1, reach, size, shape[0])
    low_j, high_j = _range(y0, y1, reach, size, shape[1])
    height = high_j - low_j
    piece, place = ragged((high_i - low_i) * height)
    column = place // height[piece]
    i, j = low_i[piece] + column, low_j[piece] + place - column * height[piece]
    step_x, step_y = x1 - x0, y1 - y0
    limit = size / 2 * (np.abs(step_x) + np.abs(step_y)) + reach * np.hypot(step_x, step_y)
    # The line through the piece passes the cell's centre at a distance of |across| / |step|.
    shift = step_y * (x0 - 0.5 * size) - step_x * (y0 - 0.5 * size)
    across = (step_x * size)[piece] * j - (step_y * size)[piece] * i + shift[piece]
    kept = np.abs(across) <= limit[piece]
    return (i * shape[1] + j)[kept], piece[kept]


def _range(start: np.ndarray, end: np.ndarray, reach: float, size: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last (exclusive) of ``count`` cells that pieces come within ``reach`` of, along one axis."""
    first = np.floor((np.minimum(start, end) - reach) / size).astype(np.int64).clip(0, count - 1)
    last = np.floor((np.maximum(start, end) + reach) / size).astype(np.int64) + 1
    return first, last.clip(first + 1, count)


def _holding(local: np.ndarray, owners: np.ndarray, size: float, shape: tuple[int, int], shape_bits: int) -> np.ndarray:
    """Keys (cell, then owner in the last ``shape_bits``) of the cells whose centres lie inside a shape: from where each row of
    centres crosses an edge."""
    y0, y1 = local[:, 1], local[:, 3]
    first = np.ceil(np.minimum(y0, y1) / size - 0.5).astype(np.int64)
    last = np.ceil(np.maximum(y0, y1) / size - 0.5).astype(np.int64)
    edge, place = ragged(last - first)
    row = first[edge] + place
    share = ((row + 0.5) * size - y0[edge]) / (y1 - y0)[edge]
    x = local[edge, 0] + share * (local[:, 2] - local[:, 0])[edge]
    order = np.lexsort((x, row, owners[edge]))
    # Along a row, a polygon's crossings come in pairs: in and out.
    column = np.ceil(x[order] / size - 0.5).astype(np.int64)
    entering, leaving = order[0::2], column[1::2]
    span, place = ragged(leaving - column[0::2])
    cell = (column[0::2][span] + place) * shape[1] + row[entering][span]
    return cell << shape_bits | owners[edge[entering]][span]


def _is_left(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    start, end = segments[:, :2] - points, segments[:, 2:] - points
    return start[:, 0] * end[:, 1] > start[:, 1] * end[:, 0]


def ragged(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For rows of ``counts`` elements each: the row of every element, and its place in the row."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
