"""A finely recorded trajectory at coarser times."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.scene import Trajectory


def recorded(num_poses: int, interval_s: float) -> Trajectory:
    times = np.arange(1, num_poses + 1) * interval_s
    return Trajectory(np.stack([times, -times, times / 10], axis=1), interval_s)


@pytest.mark.parametrize("num_poses, interval_s", [(40, 0.1), (80, 0.05), (8, 0.5), (11, 0.5), (50, 0.10001)])
def test_poses_keep_their_times(num_poses, interval_s):
    thin = recorded(num_poses, interval_s).thinned(8, 0.5)
    assert thin.interval_s == 0.5 and thin.num_poses == 8
    assert np.allclose(thin.poses, recorded(8, 0.5).poses, atol=1e-3)


@pytest.mark.parametrize(
    "num_poses, interval_s, words",
    [(7, 0.5, "does not reach 4 s"), (40, 0.3, "none every 0.5 s"), (8, 1.0, "none every 0.5 s")],
)
def test_times_that_were_not_recorded_are_refused(num_poses, interval_s, words):
    with pytest.raises(InputError, match=words):
        recorded(num_poses, interval_s).thinned(8, 0.5)
