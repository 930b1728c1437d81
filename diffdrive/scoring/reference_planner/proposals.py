"""PDM-Closed's fifteen proposals: three parallel paths, each followed by the intelligent driver model at five speeds.

Sources: Dauner et al. 2023 (arXiv 2306.07962); Treiber et al. 2000 (arXiv cond-mat/0002177), the driver model.
"""

from __future__ import annotations

import numpy as np

from diffdrive.scoring.reference_planner.forecast import RESOLUTION, Forecast
from diffdrive.scoring.reference_planner.obstacles import leads, obstacles_of
from diffdrive.scoring.reference_planner.paths import parallel_paths
from diffdrive.scoring.rules import INTERVAL_S, NUM_STEPS

SPEED_SHARES = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
"""Target speeds, as shares of the speed limit."""

DEFAULT_LIMIT_MPS = 15.0
"""Where the map gives no limit."""

_LOOK_AHEAD_S = 5.0
_MIN_GAP_M, _HEADWAY_S = 1.0, 1.5
_ACCELERATION, _BRAKING, _EXPONENT = 1.5, 3.0, 10


def proposals(
    centerline: np.ndarray,
    ego_pose: np.ndarray,
    speed_mps: float,
    speed_limit_mps: float | None,
    others: Forecast,
    stops: np.ndarray,
    *,
    corrected: bool = False,
) -> np.ndarray:
    """[15, 41, 3] rear-axle poses every 0.1 s from t = 0: five speeds on the centreline, 1 m right of it, 1 m left of it.

    ``centerline`` [K, 3] with headings, ``ego_pose`` [3], ``stops`` [R] polygons to stop before. Each begins on its path. By
    default the first step always brakes, and what one proposal's leader was leaks into the next; not so when ``corrected``.
    """
    limit = DEFAULT_LIMIT_MPS if speed_limit_mps is None else speed_limit_mps
    paths = parallel_paths(centerline)
    start = np.array([float(path.project(ego_pose[:2])) for path in paths])
    corridors = [path.corridor(s, s + _LOOK_AHEAD_S * limit) for path, s in zip(paths, start, strict=True)]
    obstacles = obstacles_of(paths, corridors, others, stops, NUM_STEPS)

    on_path = np.repeat(np.arange(len(paths)), len(SPEED_SHARES))
    ends = np.array([path.length for path in paths])[on_path]
    targets = np.tile(SPEED_SHARES * limit, len(paths))
    arc = np.tile(start[on_path, None], NUM_STEPS)
    speed = np.full(len(on_path), speed_mps)
    leaders = np.zeros((len(on_path), 3))
    for step in range(1, NUM_STEPS):
        here = arc[:, step - 1]
        if step % RESOLUTION == 0 or (corrected and step == 1):
            poses = np.concatenate([path.interpolate(here[on_path == i]) for i, path in enumerate(paths)])
            leaders = leads(obstacles, step, on_path, poses, here, ends, leaks=not corrected)
        arc[:, step] = here + INTERVAL_S * speed
        speed = speed + INTERVAL_S * _driver_model(here, speed, targets, leaders)
    return np.concatenate([path.interpolate(arc[on_path == i]) for i, path in enumerate(paths)])


def _driver_model(arc: np.ndarray, speed: np.ndarray, targets: np.ndarray, leaders: np.ndarray) -> np.ndarray:
    """[N] accelerations, m/s^2."""
    closing = speed * (speed - leaders[:, 1]) / (2 * np.sqrt(_ACCELERATION * _BRAKING))
    wanted = _MIN_GAP_M + _HEADWAY_S * speed + closing
    gap = np.maximum(leaders[:, 0] - arc - leaders[:, 2], _MIN_GAP_M)
    free = 1 - (speed / targets) ** _EXPONENT
    return np.clip(_ACCELERATION * (free - (wanted / gap) ** 2), -_BRAKING, _ACCELERATION)
