"""Boxes as the devkit's geometry library sees them: the order of corners, and centroids to the last bit."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import box_corners

_RING = [0, 3, 2, 1]


def box_rings(boxes: np.ndarray) -> np.ndarray:
    """[..., 4, 2] corners of boxes [..., 5]: front left, rear left, rear right, front right, as nuPlan draws a box."""
    return box_corners(boxes)[..., _RING, :]


def ring_centroids(corners: np.ndarray) -> np.ndarray:
    """[..., 2] centroids of four-cornered polygons [..., 4, 2], in the order of operations of GEOS, which shapely calls.

    A bearing of exactly 0 or 180 degrees hangs on the last bit of a centroid. Building polygons to ask GEOS takes ten times
    as long. Triangles of the first corner and each edge, weighted by twice their area; those at the first corner are empty.
    """
    base = corners[..., 0, :]
    moment = np.zeros(base.shape)
    area = np.zeros(base.shape[:-1])
    for first, second in ((1, 2), (2, 3)):
        a, b = corners[..., first, :], corners[..., second, :]
        twice = (a[..., 0] - base[..., 0]) * (b[..., 1] - base[..., 1]) - (b[..., 0] - base[..., 0]) * (
            a[..., 1] - base[..., 1]
        )
        moment += twice[..., None] * (base + a + b)
        area += twice
    return moment / 3 / area[..., None]
