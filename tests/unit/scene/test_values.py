"""The scene's values are frozen, checked, and keep the future away from the observation."""

import dataclasses

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.scene import (
    AgentKind,
    Agents,
    CameraFrame,
    EgoState,
    Future,
    Lane,
    LidarSweep,
    Observation,
    Scene,
    Trajectory,
    VectorMap,
)


def ego(time_us: int = 0, x: float = 0.0) -> EgoState:
    return EgoState(timestamp_us=time_us, pose=np.array([x, 0, 0]), velocity=np.array([3.0, 4.0]), acceleration=np.zeros(2))


def two_agents(**changes: object) -> Agents:
    values: dict = {
        "track_tokens": ("a", "b"),
        "kinds": (AgentKind.VEHICLE, AgentKind.PEDESTRIAN),
        "boxes": np.array([[1, 2, 0, 4, 2], [3, 4, 0, 1, 1]]),
        "vertical": np.array([[0.8, 1.6], [0.9, 1.8]]),
        "velocities": np.zeros((2, 2)),
    }
    return Agents(**(values | changes))


def test_observation_has_no_place_for_the_future_the_map_or_annotations() -> None:
    names = {field.name for field in dataclasses.fields(Observation)}
    assert names == {"ego_history", "command", "cameras", "lidar"}
    with pytest.raises(TypeError):
        Observation(ego_history=(ego(),), future=None)  # type: ignore[call-arg]
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        Observation(ego_history=(ego(),)).future = 1  # type: ignore[attr-defined]


def test_observation_needs_the_present_at_the_origin() -> None:
    with pytest.raises(InputError, match="origin of its frame"):
        Observation(ego_history=(ego(0, -1.0), ego(1, 0.5)))
    with pytest.raises(InputError, match="strictly increasing"):
        Observation(ego_history=(ego(5, -1.0), ego(5)))
    with pytest.raises(InputError, match="at least the present"):
        Observation(ego_history=())
    assert Observation(ego_history=(ego(0, -1.0), ego(1))).ego.speed == 5.0


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Trajectory(np.zeros((8, 3))).poses[0, 0] = 1.0


def test_trajectory_times() -> None:
    trajectory = Trajectory(np.zeros((8, 3)), interval_s=0.5)
    assert trajectory.horizon_s == 4.0
    np.testing.assert_allclose(trajectory.times_s, np.arange(1, 9) / 2)


@pytest.mark.parametrize("bad", [np.zeros((8, 2)), np.zeros((0, 3)), np.full((8, 3), np.nan)])
def test_bad_trajectories(bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        Trajectory(bad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"track_tokens": ("a", "a")}, "unique"),
        ({"kinds": (AgentKind.VEHICLE,)}, "one kind per box"),
        ({"velocities": np.zeros((3, 2))}, r"A = 2"),
        ({"boxes": np.array([[1, 2, 0, 0, 2], [3, 4, 0, 1, 1]])}, "positive"),
        ({"boxes": np.array([[np.inf, 2, 0, 1, 2], [3, 4, 0, 1, 1]])}, "finite"),
    ],
)
def test_bad_agents(changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        two_agents(**changes)


def test_agents_select_keeps_rows_together() -> None:
    chosen = two_agents().of_kind(AgentKind.PEDESTRIAN)
    assert (chosen.track_tokens, chosen.kinds) == (("b",), (AgentKind.PEDESTRIAN,))
    assert chosen.boxes[0, 0] == 3
    assert len(Agents.none()) == 0


def test_an_ego_turns_at_a_finite_rate() -> None:
    still = ego(0)
    assert still.yaw_rate == 0.0
    with pytest.raises(InputError, match="yaw_rate must be finite"):
        dataclasses.replace(still, yaw_rate=float("nan"))


def test_camera_and_lidar_reject_what_a_sensor_cannot_give() -> None:
    good = {"intrinsics": np.eye(3), "ego_from_camera": np.eye(4)}
    with pytest.raises(InputError, match="uint8"):
        CameraFrame(image=np.zeros((4, 4, 3), np.float32), **good)
    with pytest.raises(InputError, match="H W 3"):
        CameraFrame(image=np.zeros((4, 4), np.uint8), **good)
    with pytest.raises(InputError, match="NaN"):
        LidarSweep(points=np.full((2, 3), np.nan, np.float32))
    with pytest.raises(InputError, match="N 3"):
        LidarSweep(points=np.zeros((2, 4), np.float32))


def test_scene_and_future_lengths_must_fit() -> None:
    observation = Observation(ego_history=(ego(0, -1.0), ego(1)))
    with pytest.raises(InputError, match="each of its 8 poses"):
        Future(ego=Trajectory(np.zeros((8, 3))), agents=(Agents.none(),))
    with pytest.raises(InputError, match="past agents"):
        Scene(
            token="t", log_name="l", location="x", world_from_ego=np.zeros(3), observation=observation,
            agents=Agents.none(), past_agents=(Agents.none(), Agents.none()),
        )  # fmt: skip


def test_map_moves_into_a_frame_and_crops() -> None:
    line = np.array([[10.0, 5.0], [10.0, 25.0]])
    lane = Lane(lane_id="1", centerline=line, left_boundary=line - [2, 0], right_boundary=line + [2, 0])
    world = VectorMap(lanes=(lane,))
    local = world.to_local(np.array([10.0, 5.0, np.pi / 2]))
    np.testing.assert_allclose(local.lanes[0].centerline, [[0, 0], [20, 0]], atol=1e-12)
    np.testing.assert_allclose(local.lanes[0].left_boundary[:, 1], [2, 2], atol=1e-12)
    assert world.near(np.array([10.0, 30.0]), 6.0).lanes
    assert not world.near(np.array([10.0, 40.0]), 6.0).lanes
    assert world.lane("1") is lane
    assert world.lane("2") is None
