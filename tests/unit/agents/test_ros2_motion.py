"""The ego history from odometry: interpolated where messages are near, a fault where they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'diffdrive[ros2]'")
pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install 'diffdrive[ros2]'")

from diffdrive_agents.ros2.bag_types import make_bag_message
from diffdrive_agents.ros2.config import HistoryConfig
from diffdrive_agents.ros2.conversion.odometry import AccelerationSample, OdometrySample, acceleration_of, odometry_of
from diffdrive_agents.ros2.conversion.sensing import acceleration_message, odometry_message
from diffdrive_agents.ros2.motion_history import MotionHistory, receive_motion
from ros_messages import LIBRARIES, ego

from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import EgoMotion, Reading

SPEED, TURN = 5.0, 0.2
CONFIG = HistoryConfig()


def sample(stamp_us: int, frame_id: str = "map") -> OdometrySample:
    """On a circle: 5 m/s, turning by 0.2 rad/s."""
    heading = TURN * stamp_us / 1e6
    radius = SPEED / TURN
    pose = np.array(
        [radius * np.sin(heading), radius * (1 - np.cos(heading)), np.remainder(heading + np.pi, 2 * np.pi) - np.pi]
    )
    return OdometrySample(
        stamp_us=stamp_us, frame_id=frame_id, pose=pose, height=0.0, velocity=np.array([SPEED, 0.0]), yaw_rate=TURN
    )


def pushed(stamp_us: int) -> AccelerationSample:
    return AccelerationSample(stamp_us=stamp_us, acceleration=np.array([stamp_us / 1e6, 1.0]))


def readings(samples: Sequence[Any]) -> list[Reading[Any]]:
    return [Reading.of(lambda one=one: one, one.stamp_us) for one in samples]


def received(
    history: MotionHistory, stamps_us: Sequence[int], accelerations_us: Sequence[int] | None = None
) -> tuple[MotionHistory, Reading[EgoMotion] | None]:
    pushes = stamps_us if accelerations_us is None else accelerations_us
    now_us = max(stamps_us)
    return receive_motion(
        history, readings([sample(t) for t in stamps_us]), readings([pushed(t) for t in pushes]), now_us, CONFIG
    )


def motion_of(reading: Reading[EgoMotion] | None) -> EgoMotion:
    assert reading is not None and reading.value is not None, reading
    return reading.value


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
def test_odometry_and_acceleration_are_read_value_by_value(library: Callable[[Any], Any]) -> None:
    state, pose = ego(1_234_567, speed=7.0, acceleration=-1.5), np.array([3.0, -4.0, 2.5])
    message = library(odometry_message(make_bag_message, pose, state, 1_234_567, ("map", "base_link")))
    read = odometry_of(message, "base_link")
    assert (read.stamp_us, read.frame_id, read.velocity.tolist(), read.yaw_rate) == (1_234_567, "map", [7.0, 0.0], 0.0)
    np.testing.assert_allclose(read.pose, pose, atol=1e-12)
    acceleration = acceleration_of(library(acceleration_message(make_bag_message, state, 5, "map")))
    assert (acceleration.stamp_us, acceleration.acceleration.tolist()) == (5, [-1.5, 0.0])
    with pytest.raises(InputError, match="frame 'rear_axle'"):
        odometry_of(message, "rear_axle")


def test_odometry_without_a_number_or_an_orientation_is_refused() -> None:
    message = odometry_message(make_bag_message, np.zeros(3), ego(0), 0, ("map", "base_link"))
    message.twist.twist.linear.x = float("nan")
    with pytest.raises(InputError, match="velocity"):
        odometry_of(message, "base_link")
    message = odometry_message(make_bag_message, np.zeros(3), ego(0), 0, ("map", "base_link"))
    message.pose.pose.orientation.w = 0.0
    with pytest.raises(InputError, match="unit quaternion"):
        odometry_of(message, "base_link")


def test_the_history_is_interpolated_at_its_own_times() -> None:
    stamps = list(range(0, 2_000_001, 20_000))
    shifted = [stamp + 7_000 for stamp in stamps[:-1]]
    _, reading = received(MotionHistory(), [*shifted, 2_000_000], stamps)
    motion = motion_of(reading)
    assert [state.timestamp_us for state in motion.history] == [500_000, 1_000_000, 1_500_000, 2_000_000]
    now = sample(2_000_000).pose
    np.testing.assert_array_equal(motion.odometry_pose, now)
    np.testing.assert_array_equal(motion.present.pose, np.zeros(3))
    for state in motion.history:
        there = sample(state.timestamp_us).pose
        offset = there[:2] - now[:2]
        back = np.array([[np.cos(now[2]), np.sin(now[2])], [-np.sin(now[2]), np.cos(now[2])]]) @ offset
        np.testing.assert_allclose(state.pose, [*back, there[2] - now[2]], atol=1e-3)
        np.testing.assert_allclose(state.acceleration, [state.timestamp_us / 1e6, 1.0], atol=1e-9)
        assert state.yaw_rate == pytest.approx(TURN)


def test_headings_turn_the_shorter_way() -> None:
    # The circle's heading passes half a turn after 15.7 s.
    stamps = [15_600_000, 15_800_000, 16_000_000, 16_100_000]
    _, reading = received(MotionHistory(), stamps)
    assert [state.timestamp_us for state in motion_of(reading).history] == [15_600_000, 16_100_000]
    _, reading = received(MotionHistory(), [15_650_000, 15_750_000, 15_950_000, 16_200_000])
    earlier = motion_of(reading).history[0]
    assert earlier.timestamp_us == 15_700_000 and earlier.pose[2] == pytest.approx(-0.1, abs=1e-3)


def test_after_a_start_the_history_is_short_and_then_grows() -> None:
    history, reading = received(MotionHistory(), [0])
    lengths = [len(motion_of(reading).history)]
    for stamp in range(100_000, 2_000_001, 100_000):
        history, reading = received(history, [stamp])
        lengths.append(len(motion_of(reading).history))
    assert lengths == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 6
    assert len(history.odometry) < 20, "what is older than the history is forgotten"


def test_a_gap_is_a_fault_once_and_nothing_is_interpolated_over_it() -> None:
    history, _ = received(MotionHistory(), [0, 100_000, 200_000])
    history, reading = received(history, [600_000])
    assert reading is not None and reading.value is None and "missing for 0.400 s" in reading.fault
    history, reading = received(history, [700_000])
    assert [state.timestamp_us for state in motion_of(reading).history] == [700_000]


def test_time_that_goes_back_is_a_fault_and_a_new_beginning() -> None:
    history, _ = received(MotionHistory(), [9_000_000, 9_100_000])
    history, reading = received(history, [1_000_000])
    assert reading is not None and reading.stamp_us == 1_000_000 and "Time went back by 8.100 s" in reading.fault
    _, reading = received(history, [1_100_000])
    assert motion_of(reading).present.timestamp_us == 1_100_000
    assert motion_of(reading).present.acceleration[0] == pytest.approx(1.1), "accelerations of the old time are gone"


def test_one_message_that_was_overtaken_is_left_out_and_told() -> None:
    history, reading = received(MotionHistory(), [0, 200_000, 100_000])
    assert motion_of(reading).present.timestamp_us == 200_000, "a newer one came in the same cycle"
    for late_us in (150_000, -900_000):
        late = readings([sample(late_us)])
        after, reading = receive_motion(history, late, [], 300_000, CONFIG)
        assert reading is not None and reading.stamp_us == late_us and "late" in reading.fault
        assert after.odometry == history.odometry, "however late it is"
    _, reading = received(history, [200_000])
    assert reading is None, "the same message again is no message"


def test_another_frame_is_a_fault() -> None:
    history, _ = received(MotionHistory(), [0])
    _, reading = receive_motion(history, readings([sample(100_000, "odom")]), readings([pushed(100_000)]), 100_000, CONFIG)
    assert reading is not None and "changed from 'map' to 'odom'" in reading.fault


def test_without_a_recent_acceleration_there_is_no_motion() -> None:
    history, reading = received(MotionHistory(), [0], [])
    assert reading is not None and "none came yet" in reading.fault
    history, reading = received(history, [100_000], [100_000])
    assert motion_of(reading).present.acceleration.tolist() == [0.1, 1.0]
    for stamp in (200_000, 300_000, 400_000):
        history, reading = received(history, [stamp], [])
        assert motion_of(reading).present.acceleration.tolist() == [0.1, 1.0], "held for a while"
    _, reading = received(history, [500_000], [])
    assert reading is not None and "the last is 0.400 s old" in reading.fault


def test_an_unusable_message_counts_where_no_other_came() -> None:
    bad: Reading[OdometrySample] = Reading(stamp_us=100_000, value=None, fault="It is broken.")
    history, _ = received(MotionHistory(), [0])
    _, reading = receive_motion(history, [bad], [], 100_000, CONFIG)
    assert reading is not None and reading.fault == "It is broken."
    _, reading = receive_motion(history, [*readings([sample(90_000)]), bad], [], 100_000, CONFIG)
    assert motion_of(reading).present.timestamp_us == 90_000
