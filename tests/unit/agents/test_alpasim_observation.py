"""AlpaSim's inputs as observations, and trajectories at other rates."""

from __future__ import annotations

from typing import Any

import alpasim_stand_ins as stand_ins
import numpy as np
import pytest
from diffdrive_agents.alpasim.cameras import cameras_of
from diffdrive_agents.alpasim.interpolation import resampled
from diffdrive_agents.alpasim.observation import ego_history, observation_of

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.scene import CameraId, DrivingCommand, Observation, Trajectory
from diffdrive.tensors import InputLayout

CAMERAS = cameras_of(stand_ins.NUPLAN_CAMERAS)


def observed(**changes: Any) -> Observation:
    return observation_of(stand_ins.prediction_input(**changes), CAMERAS)


def test_both_tracks_cameras_are_known_in_any_case_and_order() -> None:
    assert cameras_of(["cam_r0", "CAM_F0", "CAM_L0"]) == {
        "cam_r0": CameraId.R0,
        "CAM_F0": CameraId.F0,
        "CAM_L0": CameraId.L0,
    }
    assert list(cameras_of(stand_ins.PAI_CAMERAS).values()) == [CameraId.L0, CameraId.F0, CameraId.R0]


def test_the_newest_image_of_each_camera_is_seen() -> None:
    given = stand_ins.prediction_input()
    old = np.zeros((270, 480, 3), np.uint8)
    for frames in given.camera_images.values():
        frames.insert(0, (500_000, old))
    cameras = observation_of(given, CAMERAS).cameras
    for name, camera in CAMERAS.items():
        assert np.array_equal(cameras[camera].image, given.camera_images[name][-1][1])


@pytest.mark.parametrize(
    ("size", "seen"), [((270, 480), (270, 480)), ((900, 1600), (1080, 1920)), ((1080, 1920), (1080, 1920))]
)
def test_images_of_a_size_that_cannot_be_cropped_are_resized(size: tuple[int, int], seen: tuple[int, int]) -> None:
    image = np.broadcast_to(np.arange(size[1], dtype=np.uint16)[None, :, None] * 255 // size[1], (*size, 3)).astype(np.uint8)
    images = {name: [(0, image)] for name in stand_ins.NUPLAN_CAMERAS}
    frames = observed(camera_images=images).cameras
    for frame in frames.values():
        assert frame.image.shape == (*seen, 3)
        assert frame.intrinsics[0, 0] == pytest.approx(1545 * seen[0] / 1080)
        assert abs(float(frame.image.mean()) - float(image.mean())) < 1.0  # not cut
    build_inputs(observed(camera_images=images), InputLayout())


@pytest.mark.parametrize("image", [np.zeros((480, 640, 3), np.uint8), np.zeros((270, 480), np.uint8), np.zeros((270, 480, 3))])
def test_other_images_are_refused_by_name(image: np.ndarray) -> None:
    images = {name: [(0, image)] for name in stand_ins.NUPLAN_CAMERAS}
    with pytest.raises(InputError, match=r"Camera CAM_L0: an image must be"):
        observed(camera_images=images)


def test_the_sweep_is_empty_and_the_network_sees_nothing_of_it() -> None:
    inputs = build_inputs(observed(), InputLayout())
    assert inputs.lidar.abs().sum() == 0
    assert inputs.status[0].tolist() == pytest.approx([1, 0, 0, 0, 8.0, 0.0, 0.25, 0.0])


@pytest.mark.parametrize("command", list(DrivingCommand))
def test_commands_agree(command: DrivingCommand) -> None:
    assert observed(command=int(command)).command is command


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(InputError, match="A command is 0"):
        observed(command=4)


def test_past_poses_lie_behind_whichever_way_the_car_looks() -> None:
    history = observed().ego_history
    assert [state.timestamp_us for state in history] == [100_000 * step for step in range(11)]
    np.testing.assert_allclose([state.pose for state in history], [(0.8 * (step - 10), 0, 0) for step in range(11)], atol=1e-9)
    np.testing.assert_allclose([state.velocity for state in history], [(8.0, 0.0)] * 11, atol=1e-9)


def test_only_two_seconds_are_kept_and_of_equal_times_the_later_pose() -> None:
    poses = [stand_ins.pose_at(100_000 * step, float(step), 0.0, 0.0) for step in range(100)]
    poses.append(stand_ins.pose_at(9_900_000, 99.5, 0.0, 0.0))
    history = ego_history(poses, 3.0, -1.0, 0)
    assert history[0].timestamp_us == 7_900_000 and len(history) == 21
    assert history[0].pose[0] == pytest.approx(79 - 99.5)
    assert history[-1].velocity.tolist() == [3.0, 0.0] and history[-1].acceleration.tolist() == [-1.0, 0.0]


def test_a_turning_cars_yaw_rate_is_read_from_its_poses() -> None:
    rate, speed = 0.4, 5.0
    times = np.arange(0, 1.01, 0.1)
    poses = [
        stand_ins.pose_at(int(1e6 * t), speed / rate * np.sin(rate * t + 3), -speed / rate * np.cos(rate * t + 3), rate * t + 3)
        for t in times
    ]
    history = ego_history(poses, speed, 0.0, 0)
    np.testing.assert_allclose([state.yaw_rate for state in history], rate, atol=1e-6)
    np.testing.assert_allclose([state.velocity[0] for state in history[1:-1]], speed, atol=0.01)


@pytest.mark.parametrize("poses", [[], [stand_ins.pose_at(1_000_000, 5.0, 5.0, 1.0)]])
def test_without_a_past_there_is_the_present(poses: list[Any]) -> None:
    (now,) = observed(ego_pose_history=poses).ego_history
    assert now.timestamp_us == 1_000_000 and now.velocity.tolist() == [8.0, 0.0]


def test_speeds_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="velocity must be finite"):
        observed(speed=float("nan"))


TIMES = np.arange(1, 9) * 0.5


def test_resampling_keeps_the_networks_poses() -> None:
    poses = np.stack([4 * TIMES + 0.3 * TIMES**2, np.sin(TIMES), 0.2 * TIMES], axis=-1)
    for frequency_hz in (2, 4, 10):
        fine = resampled(Trajectory(poses), frequency_hz)
        assert fine.interval_s == 1 / frequency_hz and fine.horizon_s == pytest.approx(4.0)
        np.testing.assert_allclose(fine.poses[frequency_hz // 2 - 1 :: frequency_hz // 2], poses, atol=1e-12)


def test_a_steady_drive_stays_steady() -> None:
    fine = resampled(Trajectory(np.stack([10 * TIMES, 0 * TIMES, 0 * TIMES], axis=-1)), 10)
    np.testing.assert_allclose(np.diff(fine.poses[:, 0]), 1.0, atol=1e-9)


def test_a_bend_is_followed_within_centimetres() -> None:
    def bend(times: np.ndarray) -> np.ndarray:
        turn, radius = 0.3 * times, 8 / 0.3
        return np.stack([radius * np.sin(turn), radius * (1 - np.cos(turn)), turn], axis=-1)

    fine = resampled(Trajectory(bend(TIMES)), 10)
    assert np.abs(fine.poses - bend(np.arange(1, 41) / 10)).max() < 0.05


def test_a_car_that_stops_never_rolls_back() -> None:
    ways = np.array([2.0, 3.0, 3.2, 3.2, 3.2, 3.2, 3.2, 3.2])
    fine = resampled(Trajectory(np.stack([ways, 0 * ways, 0 * ways], axis=-1)), 10)
    assert np.diff(fine.poses[:, 0]).min() >= -1e-12 and fine.poses[:, 0].max() == pytest.approx(3.2)


def test_headings_go_the_short_way_round() -> None:
    headings = np.array([2.8, 3.0, -3.1, -2.9, -2.7, -2.6, -2.5, -2.4])
    fine = resampled(Trajectory(np.stack([TIMES, TIMES, headings], axis=-1)), 10)
    turned = np.angle(np.exp(1j * np.diff(fine.poses[4:, 2])))
    assert (turned >= -1e-9).all() and np.abs(fine.poses[:, 2]).max() <= np.pi
