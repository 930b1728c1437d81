"""A proposal at the 41 times of simulation, in the devkit's arithmetic."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import wrap_angle
from diffdrive.scoring.rules import NUM_STEPS

_STEP_US = 100_000


def at_simulation_times(timestamp_us: int, proposal: np.ndarray) -> np.ndarray:
    """[41, 3] from ``proposal`` [K, 3], a pose every 0.1 s from ``timestamp_us`` on.

    The devkit counts the times to look up in seconds since 1970 and cuts them to whole microseconds, so some fall a
    microsecond short of a pose. Linear in position and heading; held at the ends.
    """
    knots = np.arange(len(proposal)) * _STEP_US
    queries = ((np.arange(NUM_STEPS) * 0.1 + timestamp_us * 1e-6) * 1e6).astype(np.int64) - timestamp_us
    x, y, heading = (np.interp(queries, knots, column) for column in (*proposal[:, :2].T, np.unwrap(proposal[:, 2])))
    return np.column_stack([x, y, wrap_angle(heading)])
