"""Shapes as the devkit's rules want them: sound polygons that overlap, and centrelines with a vertex every metre."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely

GROWTH_M = 0.05
"""Ground that may be driven on grows by this much: a car's corner on an edge that two polygons share lies in neither."""

SPACING_M = 1.0
_CLOSING_M = 0.5
_SLIVER_M = 0.01


def polygon_of(outline: np.ndarray) -> shapely.Polygon:
    """From an outline [V, 2]; of one that crosses itself, the largest sound part."""
    ring = outline if len(outline) > 2 else np.concatenate([outline, outline[:1], outline[:1]])
    polygon = shapely.Polygon(ring)
    if polygon.is_valid:
        return polygon
    parts = [part for part in shapely.get_parts(shapely.make_valid(polygon)) if part.geom_type == "Polygon"]
    return max(parts, key=lambda part: part.area) if parts else polygon.convex_hull.buffer(_SLIVER_M)


def outline_around(polygons: Sequence[shapely.Polygon]) -> shapely.Polygon:
    """One polygon around lanes side by side."""
    if len(polygons) == 1:
        return polygons[0]
    closed = shapely.union_all(np.array(polygons, dtype=object)).buffer(_CLOSING_M).buffer(-_CLOSING_M)
    return closed if closed.geom_type == "Polygon" else closed.convex_hull


def grown(polygon: shapely.Polygon) -> shapely.Polygon:
    """``polygon`` with ``GROWTH_M`` more on every side."""
    return polygon.buffer(GROWTH_M, join_style="mitre")


def with_vertices(line: np.ndarray) -> np.ndarray:
    """``line`` [K, 2] with vertices between its own, at most ``SPACING_M`` apart: the devkit looks for nearest vertices."""
    parts = []
    for start, end in pairwise(line):
        count = max(int(np.ceil(np.hypot(*(end - start)) / SPACING_M)), 1)
        parts.append(start + (end - start) * (np.arange(count) / count)[:, None])
    return np.concatenate([*parts, line[-1:]])
