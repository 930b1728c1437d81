"""Cut the surroundings of a pose out of a large map, fast enough to do for every scene."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from diffdrive.geometry import to_local
from diffdrive.scene import Area, Lane, Line, VectorMap

T = TypeVar("T", Lane, Area, Line)


class MapIndex:
    """A world-frame map with the bounding box of every object. Gives what ``VectorMap.near(...).to_local(...)`` gives."""

    def __init__(self, vector_map: VectorMap) -> None:
        self.vector_map = vector_map
        self._lanes = _bounds([lane.polygon for lane in vector_map.lanes])
        self._areas = _bounds([area.outline for area in vector_map.areas])
        self._lines = _bounds([line.points for line in vector_map.lines])

    def around(self, pose: np.ndarray, radius_m: float) -> VectorMap:
        """The objects within ``radius_m`` of ``pose`` [3] along both world axes, in the frame of ``pose``."""

        low, high = pose[:2] - radius_m, pose[:2] + radius_m

        def cut(objects: Sequence[T], bounds: np.ndarray, fields: tuple[str, ...]) -> tuple[T, ...]:
            near = (bounds[:, :2] <= high).all(axis=1) & (bounds[:, 2:] >= low).all(axis=1)
            return _moved([objects[int(i)] for i in np.flatnonzero(near)], fields, pose)

        return VectorMap(
            lanes=cut(self.vector_map.lanes, self._lanes, ("centerline", "left_boundary", "right_boundary", "outline")),
            areas=cut(self.vector_map.areas, self._areas, ("outline",)),
            lines=cut(self.vector_map.lines, self._lines, ("points",)),
            convention=self.vector_map.convention,
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
