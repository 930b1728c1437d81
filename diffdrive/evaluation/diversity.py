"""How different a planner's proposals are from each other: the paper's mode diversity (arXiv 2411.15139, eq. 3)."""

from __future__ import annotations

import numpy as np

from diffdrive.contracts import Axes
from diffdrive.vehicle import PACIFICA

_ARC_SEGMENTS = 4
"""Straight pieces in a quarter of a rounded end: areas are 2 % smaller there, of each trajectory and of the union alike."""


def mode_diversity(poses: np.ndarray, width_m: float = PACIFICA.width) -> np.ndarray:
    """[S] diversity, 0 .. 1, of the N proposals ``poses`` [S, N, T, 3] of each scene (x and y count, metres).

        D = 1 - mean over i of Area(tau_i and U) / Area(tau_i or U),    U = union of all tau

    Identical proposals give 0, N proposals of one area that share nothing give 1 - 1/N. As every tau_i lies within U, a term
    is Area(tau_i) / Area(U). The paper does not say what the area of a trajectory is: here it is the band of ``width_m``
    around the line through its poses, with rounded ends, so that a standing trajectory has an area too. The ego's present
    place, which all proposals share, is not part of it.

    Raises ``InputError`` for other axes and for poses that are not finite.
    """
    import shapely

    Axes("mode_diversity").check("poses", poses, "S N T D", finite=True)
    points = np.asarray(poses, dtype=np.float64)[..., :2]
    bands = shapely.buffer(shapely.linestrings(points), width_m / 2.0, quad_segs=_ARC_SEGMENTS)
    together = shapely.area(shapely.union_all(bands, axis=1))
    diversity: np.ndarray = 1.0 - shapely.area(bands).mean(axis=1) / together
    return diversity.clip(0.0, 1.0)
