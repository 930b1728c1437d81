"""Polygons of any size in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array


@dataclass(frozen=True, slots=True, kw_only=True)
class Polygons:
    """P simple polygons without holes, one after another; the first vertex of a polygon is not repeated at its end."""

    vertices: np.ndarray
    """[V, 2] metres, all polygons'."""

    offsets: np.ndarray
    """[P + 1] where each polygon begins in ``vertices``; the last entry is V."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", frozen_array(self.vertices, np.float64))
        object.__setattr__(self, "offsets", frozen_array(self.offsets, np.int64))
        Axes("Polygons").check("vertices", self.vertices, "V 2", finite=True)
        sizes = np.diff(self.offsets)
        if len(self.offsets) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.vertices) or (sizes < 3).any():
            raise InputError(
                "Polygons need three vertices or more each, and offsets from 0 to the number of vertices, "
                f"got {len(self.vertices)} vertices and sizes {sizes.tolist()[:8]}. Build them with Polygons.of."
            )

    @classmethod
    def of(cls, rings: Iterable[np.ndarray]) -> Polygons:
        """From rings [V, 2]; a last vertex equal to the first is dropped."""
        opened = [_opened(np.asarray(ring, dtype=np.float64)) for ring in rings]
        vertices = np.concatenate(opened) if opened else np.zeros((0, 2))
        return cls(vertices=vertices, offsets=np.cumsum([0, *(len(ring) for ring in opened)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def ring(self, index: int) -> np.ndarray:
        """[V, 2] the vertices of one polygon."""
        return self.vertices[self.offsets[index] : self.offsets[index + 1]]


def _opened(ring: np.ndarray) -> np.ndarray:
    return ring[:-1] if len(ring) > 1 and np.array_equal(ring[0], ring[-1]) else ring
