"""What scripted events leave in a recording: paths round obstacles, and parked cars that are not where people walk."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import Polyline
from diffdrive.world.traffic.events.profiles import bump
from diffdrive.world.traffic.events.sites import RAMP_M, SPARE_M, Bottleneck

CLEARANCE_M = 0.75
"""Between whoever goes round and the obstacle."""


def shifted_front(front: np.ndarray, site: Bottleneck, line: Polyline, *, length: float, width: float) -> np.ndarray:
    """Front bumpers [T, 2] of a vehicle on the blocked lane (centre line ``line``), moved aside to go round what stands there.

    The lifted body's centre follows this path, so beside the obstacle the whole body is ``CLEARANCE_M`` or more away from it.
    """
    along = np.array([line.project(point) for point in front])
    reach = length / 2 + SPARE_M
    share = bump(along[:, 0], site.first_m - reach, site.last_m + reach, RAMP_M)
    target = site.left_m + CLEARANCE_M + width / 2
    heading = line.interpolate(along[:, 0])[:, 2]
    # Whatever the offset from the centre line was, beside the obstacle it is the target.
    aside = share * (target - along[:, 1])
    return front + aside[:, None] * np.column_stack([-np.sin(heading), np.cos(heading)])
