"""The stop that stands in for a plan is straight, comfortable, and ends at a standstill."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.runtime import comfortable_stop
from diffdrive.runtime.fallback import DECELERATION_MPS2, JERK_MPS3
from diffdrive.scene import EgoState


def stop(speed: float, acceleration: float = 0.0, num_poses: int = 80, interval_s: float = 0.1) -> np.ndarray:
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=[speed, 0.3], acceleration=[acceleration, 0.0])
    trajectory = comfortable_stop(ego, num_poses, interval_s)
    assert trajectory.interval_s == interval_s
    return trajectory.poses


def test_it_stops_where_the_closed_form_says() -> None:
    poses = stop(8.0)
    ramp_s = DECELERATION_MPS2 / JERK_MPS3
    ramp_m = 8.0 * ramp_s - JERK_MPS3 * ramp_s**3 / 6
    left = 8.0 - JERK_MPS3 * ramp_s**2 / 2
    assert poses[-1, 0] == pytest.approx(ramp_m + left**2 / (2 * DECELERATION_MPS2), abs=0.002)
    assert poses[-1, 0] == poses[-2, 0], "at a standstill"
    assert np.all(poses[:, 1:] == 0)


def test_braking_and_its_growth_stay_comfortable() -> None:
    speed = np.diff(stop(12.0)[:, 0]) / 0.1
    acceleration = np.diff(speed) / 0.1
    assert acceleration.min() > -DECELERATION_MPS2 - 1e-6
    assert (np.diff(acceleration[: len(acceleration) // 2]) / 0.1).min() > -JERK_MPS3 - 1e-6


def test_braking_goes_on_from_the_present_braking_but_not_from_acceleration() -> None:
    assert stop(8.0, acceleration=-2.0)[-1, 0] < stop(8.0)[-1, 0]
    np.testing.assert_array_equal(stop(8.0, acceleration=2.0), stop(8.0))
    np.testing.assert_array_equal(stop(8.0, acceleration=-9.0), stop(8.0, acceleration=-DECELERATION_MPS2))


def test_standing_stays_and_reversing_stops_backwards() -> None:
    np.testing.assert_array_equal(stop(0.0), 0.0)
    np.testing.assert_allclose(stop(-2.0), -stop(2.0))


def test_poses_are_those_of_a_finer_plan() -> None:
    np.testing.assert_allclose(stop(9.0, num_poses=8, interval_s=0.5)[:, 0], stop(9.0, num_poses=40)[4::5, 0], atol=1e-6)
