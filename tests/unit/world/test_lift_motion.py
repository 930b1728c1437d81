"""The lift: simulated points become motions that a car can make."""

import numpy as np
import pytest

from diffdrive.world.traffic.lift import lift_vehicle, lift_walker

STEP = 0.1
LENGTH, AXLE = 5.0, 1.4


def drive(front: np.ndarray) -> np.ndarray:
    motion = np.gradient(front, axis=0)
    headings = np.unwrap(np.arctan2(motion[:, 1], motion[:, 0]))
    return lift_vehicle(front, headings, length=LENGTH, rear_axle_to_center=AXLE, interval_s=STEP)


def circle(radius: float, speed: float, seconds: float) -> np.ndarray:
    angle = np.arange(0.0, seconds, STEP) * speed / radius
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


def test_straight_drive_keeps_speed_and_puts_the_body_behind_the_bumper() -> None:
    front = np.column_stack([np.arange(60) * 0.8, np.zeros(60)])
    poses = drive(front)
    np.testing.assert_allclose(poses[:, 0], front[:, 0] - LENGTH / 2, atol=1e-6)
    np.testing.assert_allclose(poses[:, 1:], 0.0, atol=1e-9)


def test_rear_axle_does_not_slip_on_a_curve() -> None:
    poses = drive(circle(radius=12.0, speed=5.0, seconds=12.0))[20:-20]
    forward = np.column_stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])])
    velocity = np.gradient(poses[:, :2] - AXLE * forward, STEP, axis=0)
    sideways = -velocity[:, 0] * forward[:, 1] + velocity[:, 1] * forward[:, 0]
    assert np.abs(sideways[1:-1]).max() < 0.02
    assert np.abs(np.hypot(poses[:, 0], poses[:, 1]) - 12.0).max() < 0.1, "the body centre follows the line"


def test_heading_lags_behind_the_direction_of_the_centre() -> None:
    poses = drive(circle(radius=12.0, speed=5.0, seconds=12.0))[20:-20]
    tangent = np.arctan2(poses[:, 1], poses[:, 0]) + np.pi / 2
    lag = np.angle(np.exp(1j * (tangent - poses[:, 2])))
    np.testing.assert_allclose(lag, np.arcsin(AXLE / 12.0), atol=0.01)


def test_a_step_in_speed_becomes_an_acceleration_that_passengers_survive() -> None:
    speeds = np.where(np.arange(120) < 60, 10.0, 7.0)
    poses = drive(np.column_stack([np.cumsum(speeds * STEP), np.zeros(120)]))
    acceleration = np.gradient(np.gradient(poses[:, 0], STEP), STEP)
    assert np.abs(acceleration[5:-5]).max() < 4.0
    assert np.gradient(poses[:, 0], STEP)[-10] == pytest.approx(7.0, abs=0.05)


def test_a_car_that_creeps_is_kept_still() -> None:
    front = np.column_stack([np.zeros(30), np.linspace(0.0, 0.5, 30)])
    poses = lift_vehicle(front, np.full(30, 0.3), length=LENGTH, rear_axle_to_center=AXLE, interval_s=STEP)
    assert np.ptp(poses[:, 2]) == 0.0
    np.testing.assert_allclose(front[0] - poses[0, :2], LENGTH / 2 * np.array([np.cos(0.3), np.sin(0.3)]))


def test_walker_faces_where_it_walks_and_keeps_facing_there_when_it_stops() -> None:
    way = np.concatenate([np.arange(0.0, 4.0, 0.13), np.full(40, 3.9)])
    places = np.column_stack([np.zeros_like(way), way])
    poses = lift_walker(places, np.zeros(len(way)), length=0.5, interval_s=STEP)
    np.testing.assert_allclose(poses[:, 2], np.pi / 2, atol=0.05)
