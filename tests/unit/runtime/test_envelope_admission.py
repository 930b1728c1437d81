"""Stale, missing, damaged, frozen, reordered and unsynchronised inputs: what may be planned with, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vehicle_inputs import CYCLE_US, POLICY, everything, lidar, motion

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import (
    Admission,
    EgoMotion,
    HeldInputs,
    InputCondition,
    InputLimits,
    InputPolicy,
    Reading,
    VehicleInputs,
    admit,
    lidar_reading,
)
from diffdrive.scene import CameraId, DrivingCommand, EgoState, LidarSweep

NAMES = ("camera l0", "camera f0", "camera r0", "lidar", "motion", "command")


def after(*cycles: VehicleInputs | None, policy: InputPolicy = POLICY) -> Admission:
    """The admission of the last cycle; None stands for one in which all is well."""
    held = HeldInputs()
    for index, inputs in enumerate(cycles, start=1):
        now_us = index * CYCLE_US
        admission, held = admit(everything(now_us) if inputs is None else inputs, held, now_us, policy)
    return admission


def condition(admission: Admission, name: str) -> InputCondition:
    return next(report.condition for report in admission.reports if report.name == name)


def test_fresh_inputs_become_an_observation() -> None:
    admission = after(None)
    assert [report.name for report in admission.reports] == list(NAMES)
    assert {report.condition for report in admission.reports} == {InputCondition.FRESH}
    assert admission.refusals == ()
    assert admission.observation is not None
    assert admission.observation.command is DrivingCommand.LEFT
    assert set(admission.observation.cameras) == set(POLICY.cameras)
    assert admission.spread_s == pytest.approx(0.01)


def test_nothing_is_planned_before_everything_has_arrived() -> None:
    admission = after(replace(everything(CYCLE_US), lidar=None))
    assert condition(admission, "lidar") is InputCondition.NEVER
    assert admission.observation is None
    assert admission.motion is not None, "the vehicle still knows how it moves"
    assert admission.refusals == ("lidar: No usable message has arrived yet.",)


@pytest.mark.parametrize(("missed", "is_planned"), [(1, True), (2, True), (3, False)])
def test_a_missing_sweep_is_replaced_by_the_one_before_until_that_is_too_old(missed: int, is_planned: bool) -> None:
    wide = replace(POLICY, max_spread_s=10.0)
    gone = [replace(everything((index + 2) * CYCLE_US), lidar=None) for index in range(missed)]
    admission = after(None, *gone, policy=wide)
    assert (admission.observation is not None) == is_planned
    assert condition(admission, "lidar") is (InputCondition.HELD if is_planned else InputCondition.STALE)


def test_sensors_of_different_moments_are_not_planned_with() -> None:
    late = replace(everything(3 * CYCLE_US), lidar=None)
    admission = after(None, replace(everything(2 * CYCLE_US), lidar=None), late)
    assert admission.spread_s == pytest.approx(0.21)
    assert admission.refusals == ("Cameras and LiDAR are 0.210 s apart, more than 0.15 s.",)


def test_a_damaged_message_is_not_used_and_said_to_be_damaged() -> None:
    nan = lidar_reading(lambda: LidarSweep(points=np.full((5, 3), np.nan, dtype=np.float32)), 2 * CYCLE_US)
    admission = after(None, replace(everything(2 * CYCLE_US), lidar=nan))
    report = next(report for report in admission.reports if report.name == "lidar")
    assert report.condition is InputCondition.UNUSABLE
    assert "finite" in report.detail
    assert admission.observation is not None, "the sweep before is young enough"
    assert admission.observation.lidar is not None
    assert np.isfinite(admission.observation.lidar.points).all()


def test_a_frozen_camera_forbids_to_plan_though_its_stamps_advance() -> None:
    cycles = [everything((index + 1) * CYCLE_US, content=7) for index in range(7)]
    assert after(*cycles[:6]).observation is not None
    admission = after(*cycles)
    assert condition(admission, "camera f0") is InputCondition.FROZEN
    assert admission.observation is None
    assert any("Identical for 0.60 s" in refusal for refusal in admission.refusals)
    endless = replace(POLICY, camera=InputLimits(max_age_s=0.3), lidar=InputLimits(max_age_s=0.3))
    assert after(*cycles, policy=endless).observation is not None


@pytest.mark.parametrize(("speed", "is_frozen"), [(5.0, True), (0.0, False)])
def test_odometry_that_stays_where_it_is_is_frozen_if_it_says_that_it_moves(speed: float, is_frozen: bool) -> None:
    stamps = [(index + 1) * CYCLE_US for index in range(5)]
    cycles = [replace(everything(stamp), motion=motion(stamp, driven_us=0, speed=speed)) for stamp in stamps]
    assert after(*cycles[:4]).observation is not None
    admission = after(*cycles)
    assert (condition(admission, "motion") is InputCondition.FROZEN) == is_frozen
    assert (admission.motion is None) == (admission.observation is None) == is_frozen


def test_messages_that_overtake_each_other_change_nothing() -> None:
    old = replace(everything(2 * CYCLE_US), lidar=lidar(CYCLE_US // 2, 99.0))
    admission = after(None, old)
    assert condition(admission, "lidar") is InputCondition.OUT_OF_ORDER
    assert admission.observation is not None
    assert admission.observation.lidar is not None
    assert admission.observation.lidar.points[0, 0] == 1.0


def test_a_stamp_from_the_future_is_not_believed() -> None:
    early = replace(everything(2 * CYCLE_US), motion=motion(3 * CYCLE_US))
    admission = after(None, early)
    assert condition(admission, "motion") is InputCondition.FROM_FUTURE


def test_a_clock_that_is_set_back_begins_anew() -> None:
    _, held = admit(everything(50 * CYCLE_US), HeldInputs(), 50 * CYCLE_US, POLICY)
    admission, _ = admit(everything(CYCLE_US), held, CYCLE_US, POLICY)
    assert admission.observation is not None


def test_an_old_command_counts_as_unknown() -> None:
    short = replace(POLICY, command=InputLimits(max_age_s=0.05))
    admission = after(None, replace(everything(2 * CYCLE_US), command=None), policy=short)
    assert admission.observation is not None
    assert admission.observation.command is DrivingCommand.UNKNOWN


@settings(max_examples=60)
@given(
    arrivals=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=12),
)
def test_no_input_past_its_limit_is_ever_planned_with(arrivals: list[list[bool]]) -> None:
    held = HeldInputs()
    for index, given_ones in enumerate(arrivals, start=1):
        now_us = index * CYCLE_US
        whole = everything(now_us)
        arrived = dict(zip(NAMES, given_ones, strict=False))
        inputs = VehicleInputs(
            cameras={each: whole.cameras[each] for each in POLICY.cameras if arrived[f"camera {each.value}"]},
            lidar=whole.lidar if arrived["lidar"] else None,
            motion=whole.motion if arrived["motion"] else None,
        )
        admission, held = admit(inputs, held, now_us, POLICY)
        if admission.observation is not None:
            limits = dict.fromkeys(NAMES, 0.3) | {"motion": 0.1}
            ages = {report.name: report.age_s for report in admission.reports if report.name != "command"}
            assert all(age is not None and age <= limits[name] for name, age in ages.items())
            assert admission.spread_s <= POLICY.max_spread_s
        else:
            assert admission.refusals


def test_a_message_that_was_long_on_its_way_is_told_to_be_too_old() -> None:
    late = replace(everything(5 * CYCLE_US), lidar=lidar(CYCLE_US, 3.0))
    admission = after(None, None, None, None, late, policy=POLICY)
    assert condition(admission, "lidar") is InputCondition.OUT_OF_ORDER
    held = HeldInputs()
    admission, _ = admit(late, held, 5 * CYCLE_US, POLICY)
    assert condition(admission, "lidar") is InputCondition.STALE
    assert admission.refusals == ("lidar: The last usable message is too old. It is 0.40 s old.",)


def test_a_frozen_camera_stays_frozen_in_a_cycle_without_a_message() -> None:
    cycles = [everything((index + 1) * CYCLE_US, content=7) for index in range(7)]
    admission = after(*cycles, replace(everything(8 * CYCLE_US), cameras={}))
    assert condition(admission, "camera f0") is InputCondition.FROZEN
    assert admission.observation is None


def test_a_history_that_cannot_be_planned_with_is_a_fault_of_its_message() -> None:
    state = EgoState(timestamp_us=0, pose=np.ones(3), velocity=np.zeros(2), acceleration=np.zeros(2))
    for history in ((), (state,), (replace(state, pose=np.zeros(3)),) * 2):
        reading = Reading.of(lambda given=history: EgoMotion(history=given, odometry_pose=np.zeros(3)), 2 * CYCLE_US)
        admission = after(None, replace(everything(2 * CYCLE_US), motion=reading))
        assert condition(admission, "motion") is InputCondition.UNUSABLE


def test_values_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(InputError, match="not both, not neither"):
        Reading(stamp_us=0, value=None)
    with pytest.raises(InputError, match="max_age_s must be positive"):
        InputLimits(max_age_s=0.0)
    with pytest.raises(InputError, match="max_frozen_s"):
        InputLimits(max_age_s=1.0, max_frozen_s=-1.0)
    with pytest.raises(InputError, match="max_spread_s"):
        InputPolicy(max_spread_s=0.0)
    with pytest.raises(InputError, match="odometry_pose"):
        EgoMotion(history=motion(0).value.history, odometry_pose=np.zeros(2))  # type: ignore[union-attr]
    assert CameraId.F0 in POLICY.cameras
