"""Cut the surroundings of a pose out of a large map, fast enough to do for every scene."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from diffdrive.geometry import to_local
from diffdrive.scene import Area, Lane, Line, VectorMap
from diffdrive.sources.route_reach import RouteReach

T = TypeVar("T", Lane, Area, Line)


class MapIndex:
    """A world-frame map with the bounding box of every object. Gives what ``VectorMap.near(...).to_local(...)`` gives."""

    def __init__(self, vector_map: VectorMap) -> None:
        self.vector_map = vector_map
        self._lanes = _bounds([lane.polygon for lane in vector_map.lanes])
        self._areas = _bounds([area.outline for area in vector_map.areas])
        self._lines = _bounds([line.points for line in vector_map.lines])
        self._reach: RouteReach | None = None

    def around(self, pose: np.ndarray, radius_m: float, *, route: Sequence[str] = ()) -> VectorMap:
        """The objects within ``radius_m`` of ``pose`` [3] along both world axes, in the frame of ``pose``.

        ``route``: lane groups of a listed route. Their lanes and areas are in the result whatever their distance, and so are
        those of every group that a search for the way from here into the route, or between two of its groups that do not
        touch, can run through. What depends on the route then is as with the whole map.
        """
        lanes, areas = self._rows_of(route, pose)
        low, high = pose[:2] - radius_m, pose[:2] + radius_m

        def cut(objects: Sequence[T], bounds: np.ndarray, fields: tuple[str, ...], kept: list[int]) -> tuple[T, ...]:
            near = (bounds[:, :2] <= high).all(axis=1) & (bounds[:, 2:] >= low).all(axis=1)
            rows = np.union1d(np.flatnonzero(near), kept).astype(np.int64) if kept else np.flatnonzero(near)
            return _moved([objects[int(i)] for i in rows], fields, pose)

        return VectorMap(
            lanes=cut(self.vector_map.lanes, self._lanes, ("centerline", "left_boundary", "right_boundary", "outline"), lanes),
            areas=cut(self.vector_map.areas, self._areas, ("outline",), areas),
            lines=cut(self.vector_map.lines, self._lines, ("points",), []),
            convention=self.vector_map.convention,
        )

    def _rows_of(self, route: Sequence[str], pose: np.ndarray) -> tuple[list[int], list[int]]:
        """Rows of the lanes and of the areas that ``route`` may need."""
        if not route:
            return [], []
        if self._reach is None:
            self._reach = RouteReach(self.vector_map)
        groups = self._reach.needed(route, pose[:2])
        return (
            [row for group in groups for row in self._reach.lanes[group]],
            [row for group in groups for row in self._reach.areas.get(group, ())],
        )


def _bounds(outlines: list[np.ndarray]) -> np.ndarray:
    """[K, 4] low x, low y, high x, high y."""
    return np.array([[*points.min(axis=0), *points.max(axis=0)] for points in outlines]).reshape(-1, 4)


def _moved(objects: list[T], fields: tuple[str, ...], origin: np.ndarray) -> tuple[T, ...]:
    if not objects:
        return ()
    held = [tuple(field for field in fields if getattr(item, field) is not None) for item in objects]
    arrays = [getattr(item, field) for item, own in zip(objects, held, strict=True) for field in own]
    local = to_local(np.concatenate(arrays), origin)
    local.flags.writeable = False
    ends: list[int] = np.cumsum([len(array) for array in arrays]).tolist()
    pieces = iter(local[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True))
    names = tuple(field.name for field in dataclasses.fields(objects[0]))
    return tuple(
        _unchecked_copy(item, names, {field: next(pieces) for field in own}) for item, own in zip(objects, held, strict=True)
    )


def _unchecked_copy(item: T, names: tuple[str, ...], changes: dict[str, Any]) -> T:
    # A rigid motion of points that were checked once needs no second check, which would cost far more than the motion.
    copy = object.__new__(type(item))
    for name in names:
        object.__setattr__(copy, name, changes[name] if name in changes else getattr(item, name))
    return copy
