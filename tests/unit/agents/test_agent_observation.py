"""NAVSIM's agent input as an observation, value by value."""

from __future__ import annotations

import navsim_stand_ins as stand_ins
import numpy as np
import pytest
from diffdrive_agents.observation import observation_of

from diffdrive.contracts import InputError
from diffdrive.runtime.noise import scene_key
from diffdrive.scene import CameraId, DrivingCommand


def test_the_history_is_half_a_second_apart_and_ends_now() -> None:
    observation = observation_of(stand_ins.agent_input())
    assert [state.timestamp_us for state in observation.ego_history] == [-1_500_000, -1_000_000, -500_000, 0]
    assert [state.pose[0] for state in observation.ego_history] == [-9.0, -6.0, -3.0, 0.0]
    assert observation.ego.velocity.tolist() == pytest.approx([6.0, 0.1])
    assert observation.ego.acceleration.tolist() == pytest.approx([0.2, -0.3])


@pytest.mark.parametrize("command", list(DrivingCommand))
def test_the_command_is_the_one_that_is_hot(command: DrivingCommand) -> None:
    given = stand_ins.agent_input()
    given.ego_statuses[-1].driving_command = [int(index == command) for index in range(4)]
    assert observation_of(given).command is command


def test_no_command_is_an_unknown_one() -> None:
    given = stand_ins.agent_input()
    given.ego_statuses[-1].driving_command = np.zeros(4)
    assert observation_of(given).command is DrivingCommand.UNKNOWN


@pytest.mark.parametrize("command", [[2, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0], [0.5, 0.5, 0, 0], [[1, 0, 0, 0]]])
def test_a_command_that_is_not_one_hot_is_refused(command: list[float]) -> None:
    given = stand_ins.agent_input()
    given.ego_statuses[-1].driving_command = command
    with pytest.raises(InputError, match="one-hot"):
        observation_of(given)


def test_only_cameras_with_an_image_are_there() -> None:
    observation = observation_of(stand_ins.agent_input())
    assert set(observation.cameras) == {CameraId.L0, CameraId.F0, CameraId.R0}


def test_a_camera_looks_from_where_the_log_says() -> None:
    given = stand_ins.agent_input()
    frame = observation_of(given).cameras[CameraId.F0]
    ahead = frame.ego_from_camera @ [0.0, 0.0, 10.0, 1.0]
    assert ahead.tolist() == [11.5, 0.2, 1.6, 1.0]
    assert np.shares_memory(frame.image, given.cameras[-1].cam_f0.image)
    assert np.array_equal(frame.intrinsics, given.cameras[-1].cam_f0.intrinsics)


def test_a_camera_that_cannot_be_used_is_named() -> None:
    given = stand_ins.agent_input()
    given.cameras[-1].cam_r0.intrinsics = np.full((3, 3), np.nan)
    with pytest.raises(InputError, match=r"Camera cam_r0 \(drive/cam_r0/0.jpg\): CameraFrame.intrinsics must be finite"):
        observation_of(given)


def test_points_are_the_first_three_rows_of_the_last_sweep() -> None:
    given = stand_ins.agent_input()
    lidar = observation_of(given).lidar
    assert lidar is not None
    assert np.array_equal(lidar.points, given.lidars[-1].lidar_pc[:3].T)


@pytest.mark.parametrize("lidar", [None, stand_ins.Lidar()])
def test_a_sweep_that_is_not_there_is_none(lidar: object) -> None:
    given = stand_ins.agent_input()
    given.lidars[-1] = lidar  # type: ignore[call-overload]
    assert observation_of(given).lidar is None


def test_the_key_is_the_same_for_both_of_the_devkits_precisions() -> None:
    given = stand_ins.agent_input()
    key = scene_key(observation_of(given))
    for status in given.ego_statuses:
        status.ego_pose = status.ego_pose.astype(np.float64) + 1e-9
        status.ego_velocity = status.ego_velocity.astype(np.float64)
    given.ego_statuses[-1].ego_pose = np.zeros(3)
    assert scene_key(observation_of(given)) == key


def test_an_empty_input_is_refused() -> None:
    with pytest.raises(InputError, match="no ego status"):
        observation_of(stand_ins.AgentInput([], [], []))
