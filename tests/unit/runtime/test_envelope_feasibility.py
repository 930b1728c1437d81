"""What poses ask of a vehicle, against motions whose answers are known, and each limit by itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import KinematicLimits, Motion, Violation, check_proposals
from diffdrive.scene import EgoState
from diffdrive.vehicle import PACIFICA

INTERVAL_S = 0.5
TIMES = np.arange(1, 9) * INTERVAL_S
WHEEL_BASE = PACIFICA.wheel_base


def ego(speed: float, acceleration: float = 0.0, yaw_rate: float = 0.0) -> EgoState:
    return EgoState(
        timestamp_us=0,
        pose=np.zeros(3),
        velocity=np.array([speed, 0.0]),
        acceleration=np.array([acceleration, 0.0]),
        yaw_rate=yaw_rate,
    )


def arc(speed: float, acceleration: float, curvature: float, times: np.ndarray = TIMES) -> np.ndarray:
    """[T, 3] along a circle, or a line, at constant acceleration."""
    way = speed * times + 0.5 * acceleration * times**2
    turn = curvature * way
    # Of an arc from its chord, which is right where the circle is a line too.
    chord = way * np.sinc(turn / (2 * np.pi))
    return np.stack([chord * np.cos(turn / 2), chord * np.sin(turn / 2), turn], axis=-1)


def broken(poses: np.ndarray, present: EgoState, limits: KinematicLimits | None = None) -> set[Violation]:
    checked = check_proposals(poses[None], INTERVAL_S, present, WHEEL_BASE, limits or KinematicLimits())
    found = set(checked.violations(0))
    assert bool(checked.is_feasible[0]) == (not found)
    return found


@given(speed=st.floats(2.0, 25.0), acceleration=st.floats(-0.2, 3.0), curvature=st.floats(-0.15, 0.15))
def test_a_motion_of_constant_acceleration_and_curvature_is_read_exactly(
    speed: float, acceleration: float, curvature: float
) -> None:
    poses = arc(speed, acceleration, curvature)
    motion = Motion.through(
        poses, INTERVAL_S, speed=speed, acceleration=acceleration, yaw_rate=curvature * speed, wheel_base=WHEEL_BASE
    )
    np.testing.assert_allclose(motion.speeds, speed + acceleration * (TIMES - INTERVAL_S / 2), atol=1e-9)
    np.testing.assert_allclose(motion.accelerations, acceleration, atol=1e-8)
    np.testing.assert_allclose(motion.jerks, 0.0, atol=1e-6)
    np.testing.assert_allclose(motion.curvatures, curvature, atol=1e-9)
    np.testing.assert_allclose(motion.steering_rates, 0.0, atol=1e-6)
    np.testing.assert_allclose(motion.slips, 0.0, atol=1e-9)
    np.testing.assert_allclose(motion.lateral_accelerations, motion.speeds**2 * curvature, atol=1e-6)


def test_a_constant_jerk_is_read_from_the_present_on() -> None:
    poses = np.stack([8.0 * TIMES + TIMES**3 / 6 * 0.6, 0 * TIMES, 0 * TIMES], axis=-1)
    motion = Motion.through(poses, INTERVAL_S, speed=8.0, acceleration=0.0, yaw_rate=0.0, wheel_base=WHEEL_BASE)
    np.testing.assert_allclose(motion.jerks[2:], 0.6, atol=1e-9)
    assert np.all(np.abs(motion.jerks[:2] - 0.6) < 0.25)


@pytest.mark.parametrize(
    ("poses", "present", "expected"),
    [
        (arc(10.0, 0.0, 0.02), ego(10.0, yaw_rate=0.2), set()),
        (np.zeros((8, 3)), ego(0.0), set()),
        (arc(3.0, 0.0, 0.3), ego(3.0, yaw_rate=0.9), {Violation.CURVATURE}),
        (arc(20.0, 0.0, 0.02), ego(20.0, yaw_rate=0.4), {Violation.LATERAL_ACCELERATION}),
        (arc(5.0, 6.0, 0.0), ego(5.0, 6.0), {Violation.ACCELERATION}),
        (arc(40.0, -9.5, 0.0), ego(40.0, -9.5), {Violation.BRAKING}),
        (arc(10.0, -8.0, 0.0)[:2], ego(10.0), {Violation.JERK}),
        (arc(5.0, 0.0, 0.18), ego(5.0), {Violation.STEERING_RATE}),
        (arc(-1.0, 0.0, 0.0), ego(-1.0), {Violation.REVERSE}),
        (arc(10.0, 0.0, 0.0) + [0.0, 1.2, 0.0], ego(10.0), {Violation.SLIP, Violation.START}),
    ],
    ids=lambda value: "-".join(sorted(each.name.lower() for each in value)) or "none" if isinstance(value, set) else "",
)
def test_each_limit_is_broken_by_its_own_motion(poses: np.ndarray, present: EgoState, expected: set[Violation]) -> None:
    assert broken(poses, present) == expected


def test_violations_are_told_worst_first_and_of_their_own_proposal() -> None:
    both = np.stack([arc(12.0, 0.0, 0.0), arc(12.0, 0.0, 0.3)])
    checked = check_proposals(both, INTERVAL_S, ego(12.0), WHEEL_BASE, KinematicLimits())
    assert checked.is_feasible.tolist() == [True, False]
    assert checked.violations(0) == ()
    found = checked.violations(1)
    usage = [checked.usage[1, list(Violation).index(kind)] for kind in found]
    assert usage == sorted(usage, reverse=True)
    assert {Violation.CURVATURE, Violation.LATERAL_ACCELERATION} < set(found)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(KinematicLimits)])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        KinematicLimits(**{name: 0.0})


def test_poses_that_are_no_poses_are_refused() -> None:
    with pytest.raises(InputError, match="poses"):
        broken(np.zeros((8, 2)), ego(1.0))
    with pytest.raises(InputError, match="finite"):
        broken(np.full((8, 3), np.nan), ego(1.0))
