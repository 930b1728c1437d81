"""Scenes of 123D logs: windows, frames, routes, modalities, bad input."""

import pickle
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("py123d")

from small_log import FRAMES, START_US, poses, town_map, write_small_root

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local
from diffdrive.scene import CameraId, DrivingCommand, LightState, Modality
from diffdrive.sources import Arrow123dSource
from diffdrive.sources.map_index import MapIndex
from diffdrive.sources.windows import SceneWindow


@pytest.fixture(scope="module")
def source(small_root: Path) -> Arrow123dSource:
    return Arrow123dSource(small_root)


def test_tokens_name_log_and_time(source: Arrow123dSource) -> None:
    # 8.0 s less 1.5 s of past and 4.0 s of future leave presents at 1.5, 2.0, ... 4.0 s.
    assert source.tokens == tuple(f"bend-{START_US + 1_500_000 + 500_000 * k}" for k in range(6))
    info = source.info(source.tokens[2])
    assert (info.log_name, info.dataset, info.location, info.iteration) == ("bend", "drivetown", "hand", 25)
    assert source.name == "drivetown"


def test_a_scene_is_in_the_frame_of_its_present(source: Arrow123dSource) -> None:
    scene = source.load(source.tokens[1])
    now = poses()[20]
    np.testing.assert_allclose(scene.world_from_ego, now, atol=1e-9)
    assert scene.future is not None
    np.testing.assert_allclose(scene.future.ego.poses, to_local(poses()[25:61:5], now), atol=1e-9)
    history = np.array([state.pose for state in scene.observation.ego_history])
    np.testing.assert_allclose(history, to_local(poses()[5:21:5], now), atol=1e-9)
    car = scene.agents.boxes[0]
    np.testing.assert_allclose(car[:3], to_local(np.array([116.0, 60, 0]), now), atol=2e-3)
    np.testing.assert_allclose(scene.agents.velocities[0], 3 * np.array([np.cos(now[2]), -np.sin(now[2])]), atol=2e-3)
    np.testing.assert_allclose(scene.agents.vertical[0], [0.8, 1.6], atol=2e-3)
    np.testing.assert_allclose(scene.past_agents[0].boxes[0, :2], to_local(np.array([111.5, 60]), now), atol=2e-3)
    np.testing.assert_allclose(scene.future.agents[-1].boxes[0, :2], to_local(np.array([128.0, 60]), now), atol=2e-3)


def test_lights_now_and_later(source: Arrow123dSource) -> None:
    scene = source.load(source.tokens[0])
    assert scene.future is not None
    assert [light.state for light in scene.traffic_lights] == [LightState.RED]
    states = [lights[0].state for lights in scene.future.traffic_lights]
    assert states == [LightState.RED] * 4 + [LightState.GREEN] * 4


def test_the_planned_route_begins_at_the_car_and_makes_the_command(source: Arrow123dSource) -> None:
    scene = source.load(source.tokens[3])
    assert scene.route is not None
    assert np.hypot(*scene.route[0]) < 0.6
    assert (np.diff(scene.route, axis=0)[:, 0] > 0).all(), "what has been driven is gone"
    assert scene.observation.command is DrivingCommand.LEFT
    without = Arrow123dSource(source.root, planned_routes=False)
    assert without.load(source.tokens[3]).route is None
    assert without.load(source.tokens[3]).observation.command is DrivingCommand.UNKNOWN
    assert Modality.ROUTE in source.modalities
    assert Modality.ROUTE not in without.modalities


def test_the_driven_path_is_never_a_route(av2_root: Path) -> None:
    for source in (Arrow123dSource(av2_root), Arrow123dSource(av2_root, planned_routes=True)):
        assert Modality.ROUTE not in source.modalities
        scene = source.load(source.tokens[5], sensors=False)
        assert scene.route is None
        assert scene.observation.command is DrivingCommand.UNKNOWN


def test_argoverse_logs_give_21_scenes_each(av2_root: Path) -> None:
    source = Arrow123dSource(av2_root)
    assert [len(log.scenes) for log in source.logs] == [21, 21]
    assert source.modalities == {Modality.AGENTS, Modality.MAP, Modality.FUTURE}
    scene = source.load(source.tokens[30])
    assert scene.future is not None
    # The ego keeps to the road: its path lies within a lane's reach everywhere.
    centers = np.concatenate([lane.centerline for lane in scene.vector_map.lanes])
    gaps = np.linalg.norm(scene.future.ego.poses[:, None, :2] - centers, axis=-1).min(axis=1)
    assert gaps.max() < 6.0
    assert source.vehicle(scene.token).wheel_base == pytest.approx(2.85)


def test_sensors_only_when_asked_and_modalities_only_when_everywhere(source: Arrow123dSource, tmp_path: Path) -> None:
    scene = source.load(source.tokens[0])
    assert set(scene.observation.cameras) == {CameraId.L0, CameraId.F0, CameraId.R0}
    assert scene.observation.lidar is not None
    assert source.modalities == set(Modality)
    some = Arrow123dSource(write_small_root(tmp_path, sensor_frames=[15, 20]))
    assert some.modalities == set(Modality) - {Modality.CAMERAS, Modality.LIDAR}
    assert some.load(some.tokens[0]).observation.cameras
    assert not some.load(some.tokens[2]).observation.cameras
    with pytest.raises(InputError, match=r"lacks lidar in 1 of 1 logs \(bend\)"):
        some.require(Modality.MAP, Modality.LIDAR)
    source.require(*Modality)


def test_the_world_map_is_shared_and_the_scene_map_is_cut_from_it(source: Arrow123dSource) -> None:
    first, second = source.tokens[:2]
    assert source.world_map(first) is source.world_map(second)
    assert len(source.world_map(first).lanes) == len(town_map().lanes)
    scene = source.load(first)
    expected = to_local(town_map().lanes[0].centerline, scene.world_from_ego)
    lane = scene.vector_map.lane("1")
    assert lane is not None
    np.testing.assert_allclose(lane.centerline, expected, atol=1e-6)
    near = Arrow123dSource(source.root, map_radius_m=20.0).load(first)
    assert [lane.lane_id for lane in near.vector_map.lanes] == ["1"]


@pytest.mark.parametrize("radius_m", [0.5, 15.0, 45.0, 500.0])
def test_the_map_index_cuts_as_the_vector_map_does(radius_m: float) -> None:
    world, pose = town_map(), np.array([141.0, 52.0, 2.0])
    slow = world.near(pose[:2], radius_m).to_local(pose)
    fast = MapIndex(world).around(pose, radius_m)
    for kind, fields in (
        ("lanes", ("centerline", "left_boundary", "right_boundary")),
        ("areas", ("outline",)),
        ("lines", ("points",)),
    ):
        for a, b in zip(getattr(slow, kind), getattr(fast, kind), strict=True):
            for field in fields:
                np.testing.assert_allclose(getattr(a, field), getattr(b, field), atol=1e-12)
                assert not getattr(b, field).flags.writeable
            others = [name for name in a.__dataclass_fields__ if name not in fields]
            assert [getattr(a, name) for name in others] == [getattr(b, name) for name in others]


def test_a_source_travels_to_another_process(source: Arrow123dSource) -> None:
    source.load(source.tokens[0])
    packed = pickle.dumps(source)
    assert len(packed) < 5_000, "open logs and maps stay behind"
    copy = pickle.loads(packed)
    assert copy.tokens == source.tokens
    np.testing.assert_array_equal(copy.load(copy.tokens[4]).agents.boxes, source.load(source.tokens[4]).agents.boxes)


def test_few_logs_stay_open(source: Arrow123dSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffdrive.sources.arrow123d._MAX_OPEN", 1)
    copy = pickle.loads(pickle.dumps(source))
    copy._readers["another"] = None
    copy.load(copy.tokens[0])
    assert list(copy._readers) == [copy.logs[0].folder]


def test_choosing_logs(av2_root: Path) -> None:
    source = Arrow123dSource(av2_root, splits=["av2-sensor_val"])
    assert [log.split for log in source.logs] == ["av2-sensor_val"]
    only = source.logs[0].log_name
    assert len(Arrow123dSource(av2_root, logs=[only]).tokens) == 21
    for wrong in ({"splits": ["no"]}, {"datasets": ["no"]}, {"logs": ["no"]}):
        with pytest.raises(InputError, match=r"called no\. It has: "):
            Arrow123dSource(av2_root, **wrong)  # type: ignore[arg-type]


def test_two_logs_of_one_name_are_refused(tmp_path: Path) -> None:
    root = write_small_root(tmp_path)
    (root / "logs" / "drivetown_val").joinpath("bend").rename(root / "logs" / "kept")
    write_small_root(root, with_map=False)
    (root / "logs" / "kept").rename(root / "logs" / "drivetown_train")
    with pytest.raises(InputError, match="two logs of one name"):
        Arrow123dSource(root)


def test_a_log_shorter_than_a_scene_offers_none(tmp_path: Path) -> None:
    source = Arrow123dSource(write_small_root(tmp_path, frames=20))
    assert source.tokens == ()
    assert source.modalities == frozenset()
    assert source.logs[0].duration_s == pytest.approx(1.9)


def test_unknown_tokens_are_refused(source: Arrow123dSource) -> None:
    for ask in (source.load, source.info, source.world_map, source.vehicle):
        with pytest.raises(InputError, match="has no scene 'nothing'"):
            ask("nothing")


def test_without_future_or_history(small_root: Path) -> None:
    source = Arrow123dSource(small_root, history_s=0.0, future_s=0.0, stride_s=1.0)
    assert len(source.tokens) == FRAMES // 10 + 1
    scene = source.load(source.tokens[0], sensors=False)
    assert scene.future is None
    assert scene.past_agents == ()
    assert len(scene.observation.ego_history) == 1
    assert Modality.FUTURE not in source.modalities


def times(*, frames: int = 81, step_us: int = 100_000) -> np.ndarray:
    return np.arange(frames) * step_us


def test_a_window_never_spans_a_gap() -> None:
    window = SceneWindow()
    assert window.presents(times()).tolist() == [15, 20, 25, 30, 35, 40]
    gap = times(frames=200)
    gap[100:] += 700_000
    presents = window.presents(gap)
    assert len(presents)
    assert not ((presents > 60) & (presents < 115)).any()


def test_windows_follow_the_rate_of_the_log() -> None:
    assert SceneWindow().presents(times(frames=161, step_us=50_000)).tolist() == [30, 40, 50, 60, 70, 80]
    assert SceneWindow().presents(times(frames=14, step_us=500_000)).tolist() == [3, 4, 5]
    assert SceneWindow().presents(times(frames=10)).tolist() == []
    with pytest.raises(InputError, match=r"no states 0\.5 s apart"):
        SceneWindow().presents(times(step_us=400_000))


@pytest.mark.parametrize("wrong", [{"interval_s": 0.0}, {"stride_s": -1.0}, {"history_s": 0.7}, {"future_s": -1.0}])
def test_impossible_windows_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        SceneWindow(**wrong)
