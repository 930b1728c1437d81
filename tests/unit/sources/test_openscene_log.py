"""Scenes of NAVSIM data: values, time, choice, folders, the index."""

import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

from hand_made_town import START_US
from navsim_data import BOSTON, FRAMES, PICKLE, change_log, copy_without_sensors, drive, heights, tilted, token

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local, to_world
from diffdrive.openscene import log_index
from diffdrive.openscene.format import CITIES
from diffdrive.openscene.read_log import LogReader, yaw_of
from diffdrive.scene import CameraId, DrivingCommand, LightState, MapConvention, Modality, Scene
from diffdrive.sources import OpenSceneLogSource
from diffdrive.sources.openscene_log import _MAX_OPEN_LOGS


@pytest.fixture(scope="module")
def source(navsim_root: Path) -> OpenSceneLogSource:
    return OpenSceneLogSource(navsim_root)


@pytest.fixture
def copy(navsim_root: Path, tmp_path: Path) -> Path:
    return copy_without_sensors(navsim_root, tmp_path / "root")


def test_tokens_are_navsim_s_of_the_present(source: OpenSceneLogSource) -> None:
    # Three frames of past, eight of future.
    assert source.tokens == tuple(token(index) for index in range(3, FRAMES - 8))
    info = source.info(source.tokens[2])
    assert (info.log_name, info.split, info.location, info.iteration) == ("drive", "mini", BOSTON, 5)
    assert info.timestamp_us == START_US + 5 * 500_000
    assert source.name == "navsim-mini"
    assert [(log.log_name, len(log.scenes), log.duration_s) for log in source.logs] == [("drive", 5, 7.5)]


def test_a_scene_says_what_the_drive_was(source: OpenSceneLogSource) -> None:
    scene, now, frames = source.load(token(4)), 4, drive()
    shift = scene.world_from_ego[:2] - frames[now].world_from_ego[:2]
    np.testing.assert_allclose(shift, np.array(CITIES[BOSTON].origin) - [0, -8], atol=1e-6)
    poses = np.array([frame.world_from_ego for frame in frames]) + [*shift, 0]
    np.testing.assert_allclose(scene.world_from_ego, poses[now], atol=1e-6)
    history = scene.observation.ego_history
    assert [state.timestamp_us for state in history] == [START_US + index * 500_000 for index in (1, 2, 3, 4)]
    np.testing.assert_allclose([state.pose for state in history], to_local(poses[1:5], poses[4]), atol=1e-6)
    for state in history:
        assert state.velocity.tolist() == [6.0, 0.1]
        assert state.acceleration.tolist() == [0.2, -0.3]
    assert scene.future is not None
    np.testing.assert_allclose(scene.future.ego.poses, to_local(poses[5:13], poses[4]), atol=1e-6)
    assert scene.observation.command is DrivingCommand.RIGHT
    assert scene.route is None
    assert len(scene.route_group_ids) == 7
    assert all(name.isdecimal() for name in scene.route_group_ids)


def test_boxes_are_where_they_were_seen_from_now(source: OpenSceneLogSource) -> None:
    scene, now, frames = source.load(token(4)), 4, drive()
    assert scene.future is not None
    agents = {**dict(enumerate(scene.past_agents, start=1)), now: scene.agents, **dict(enumerate(scene.future.agents, start=5))}
    assert sorted(agents) == list(range(1, 13))
    origin = frames[now].world_from_ego
    for index, seen in agents.items():
        then = frames[index]
        assert seen.track_tokens == then.agents.track_tokens
        assert seen.kinds == then.agents.kinds
        world = to_world(then.agents.boxes[:, :3], then.world_from_ego)
        np.testing.assert_allclose(to_world(seen.boxes[:, :3], origin), world, atol=1e-6)
        np.testing.assert_allclose(seen.boxes[:, 3:], then.agents.boxes[:, 3:], atol=1e-6)
        turn = then.world_from_ego[2] - origin[2]
        np.testing.assert_allclose(
            seen.velocities[0], [3 * np.cos(turn) + 0.5 * np.sin(turn), 3 * np.sin(turn) - 0.5 * np.cos(turn)]
        )
        # Heights are measured from the ground under the car now, which has climbed in between.
        climb = heights()[index] - heights()[now]
        np.testing.assert_allclose(seen.vertical[:, 0], then.agents.vertical[:, 0] + climb, atol=1e-6)


def test_lights_are_red_or_not_known(source: OpenSceneLogSource) -> None:
    scene = source.load(token(3))
    assert scene.future is not None
    states = [lights[0].state for lights in (scene.traffic_lights, *scene.future.traffic_lights)]
    assert states == [LightState.RED, LightState.UNKNOWN] * 4 + [LightState.RED], (
        "not red may be yellow: it is not called green"
    )
    lane = scene.vector_map.lane(scene.traffic_lights[0].lane_id)
    assert lane is not None
    assert lane.intersection_id is not None, "a light names a connector of the map"


def test_sensors_are_those_of_the_present(source: OpenSceneLogSource) -> None:
    seen, was = source.load(token(6)).observation, drive()[6].observation
    assert set(seen.cameras) == {CameraId.L0, CameraId.F0, CameraId.R0}
    for camera, frame in seen.cameras.items():
        assert frame.image.shape == (270, 480, 3)
        assert np.abs(frame.image.astype(int) - was.cameras[camera].image[0, 0]).max() <= 4, "JPEG is not exact"
        np.testing.assert_array_equal(frame.intrinsics, was.cameras[camera].intrinsics)
        np.testing.assert_array_equal(frame.ego_from_camera, was.cameras[camera].ego_from_camera)
    assert seen.lidar is not None
    assert was.lidar is not None
    np.testing.assert_array_equal(seen.lidar.points, was.lidar.points)


def test_the_map_is_the_city_s(source: OpenSceneLogSource, navsim_root: Path) -> None:
    scene = source.load(token(3))
    assert scene.vector_map.convention is MapConvention.NUPLAN
    assert set(scene.route_group_ids) <= {lane.lane_group_id for lane in scene.vector_map.lanes}
    centers = np.concatenate([lane.centerline for lane in scene.vector_map.lanes])
    assert np.hypot(*centers.T).min() < 2.0, "the car is on it"


def test_a_camera_without_calibration_is_not_there(navsim_root: Path) -> None:
    every = OpenSceneLogSource(navsim_root, cameras=tuple(CameraId))
    assert set(every.load(token(3)).observation.cameras) == {CameraId.L0, CameraId.F0, CameraId.R0}
    one = OpenSceneLogSource(navsim_root, cameras=[CameraId.F0])
    assert set(one.load(token(3)).observation.cameras) == {CameraId.F0}
    assert Modality.CAMERAS not in one.modalities


@pytest.mark.parametrize("yaw", [0.0, 0.4, -2.0, 3.1])
@pytest.mark.parametrize(("roll", "pitch"), [(0.0, 0.0), (0.05, -0.04), (-0.1, 0.2)])
def test_yaw_is_that_of_the_decomposition(yaw: float, roll: float, pitch: float) -> None:
    assert yaw_of(tilted(yaw, roll=roll, pitch=pitch)) == pytest.approx(yaw, abs=1e-12)
    assert yaw_of(-3 * tilted(yaw, roll=roll, pitch=pitch)) == pytest.approx(yaw, abs=1e-12), "of any length and sign"


def test_scenes_at_a_gap_are_left_out_or_taken_as_navsim_does(copy: Path) -> None:
    change_log(copy, lambda frames: frames[:8] + frames[9:])
    whole = OpenSceneLogSource(copy, history_s=1.0, future_s=1.0)
    assert whole.tokens == tuple(token(index) for index in (2, 3, 4, 5, 11, 12, 13))
    across = OpenSceneLogSource(copy, history_s=1.0, future_s=1.0, across_gaps=True)
    assert across.tokens == tuple(token(index) for index in (*range(2, 8), *range(9, 14)))
    scene = across.load(token(9), sensors=False)
    times = [state.timestamp_us for state in scene.observation.ego_history]
    assert np.diff(times).tolist() == [500_000, 1_000_000], "the past knows its times"
    jumped = across.load(token(7), sensors=False)
    assert jumped.future is not None
    assert jumped.future.ego.times_s.tolist() == [0.5, 1.0]
    assert jumped.future.ego.poses[0, 0] == pytest.approx(6.0, abs=0.1), (
        "the future counts its frames: a second is called half a one"
    )


def test_clocks_may_jitter(copy: Path) -> None:
    def jitter(frames: list[dict[str, Any]]) -> None:
        for index, frame in enumerate(frames):
            frame["timestamp"] += (-1) ** index * 20_000

    change_log(copy, jitter)
    source = OpenSceneLogSource(copy)
    assert len(source.tokens) == FRAMES - 11
    times = [state.timestamp_us for state in source.load(source.tokens[0], sensors=False).observation.ego_history]
    assert np.diff(times).tolist() == [460_000, 540_000, 460_000]


def test_headings_are_wrapped_and_nothing_else_is_touched(copy: Path) -> None:
    def turn(frames: list[dict[str, Any]]) -> None:
        frames[4]["anns"]["gt_boxes"] = frames[4]["anns"]["gt_boxes"].astype(np.float64)
        frames[4]["anns"]["gt_boxes"][:, 6] = [4.0, -0.3]
        frames[4]["anns"]["gt_velocity_3d"][0] = np.nan

    change_log(copy, turn)
    agents = OpenSceneLogSource(copy).load(token(4), sensors=False).agents
    assert agents.boxes[0, 2] == pytest.approx(4.0 - 2 * math.pi)
    assert agents.boxes[1, 2] == -0.3
    assert agents.velocities[0].tolist() == [0.0, 0.0], "an unknown velocity reads as zero"


@pytest.mark.parametrize(
    ("values", "command"),
    [
        ([0, 0, 0, 0], DrivingCommand.UNKNOWN),
        ([0.0, 1.0, 0.0, 0.0], DrivingCommand.STRAIGHT),
        (np.array([1, 0, 0, 0]), DrivingCommand.LEFT),
    ],
)
def test_commands(copy: Path, values: Any, command: DrivingCommand) -> None:
    change_log(copy, lambda frames: frames[4].update(driving_command=values))
    assert OpenSceneLogSource(copy).load(token(4), sensors=False).observation.command is command


def test_scenes_without_a_route_count_only_when_asked(copy: Path) -> None:
    change_log(copy, lambda frames: frames[5].update(roadblock_ids=[]))
    listed = OpenSceneLogSource(copy)
    assert token(5) not in listed.tokens
    assert Modality.ROUTE in listed.modalities
    every = OpenSceneLogSource(copy, has_route=False)
    assert len(every.tokens) == len(listed.tokens) + 1
    assert every.load(token(5), sensors=False).route_group_ids == ()
    assert Modality.ROUTE not in every.modalities


def test_choosing_scenes(copy: Path) -> None:
    assert OpenSceneLogSource(copy, tokens=[token(6), token(4)]).tokens == (token(4), token(6))
    assert OpenSceneLogSource(copy, stride_s=1.5).tokens == (token(3), token(6))
    assert OpenSceneLogSource(copy, logs=["drive"]).tokens == OpenSceneLogSource(copy).tokens
    assert len(OpenSceneLogSource(copy, history_s=0.0, future_s=0.0).tokens) == FRAMES
    assert OpenSceneLogSource(copy, future_s=30.0).tokens == ()


def test_names_that_give_no_scene_are_told_with_the_reason(copy: Path) -> None:
    change_log(copy, lambda frames: frames[6].update(roadblock_ids=[]))
    with pytest.raises(InputError) as told:
        OpenSceneLogSource(copy, tokens=[token(1), token(4), token(6), token(5), "absent"], stride_s=1.0)
    for words in (
        "4 of the tokens",
        "1 in none of the logs",
        "(for example absent)",
        "1 without 3 frames before and 8 after them in their log: ask for less history_s and future_s",
        f"(for example {token(1)})",
        f"1 without a route: pass has_route=False, or has_route: false in the scene filter (for example {token(6)})",
        f"1 between two strides of 1 s: lower stride_s (for example {token(4)})",
    ):
        assert words in str(told.value)
    change_log(copy, lambda frames: frames[:8] + frames[9:])
    with pytest.raises(InputError, match=rf"1 at a gap in their log: pass across_gaps=True .*{token(5)}"):
        OpenSceneLogSource(copy, tokens=[token(5)])
    with pytest.raises(InputError, match=r"lacks 1 of the 2 logs that were asked for, for example other\.pkl"):
        OpenSceneLogSource(copy, logs=["drive", "other"])


def test_a_token_in_two_logs_is_refused(copy: Path) -> None:
    shutil.copy(copy / PICKLE, copy / PICKLE.with_name("again.pkl"))
    with pytest.raises(InputError, match=rf"Token '{token(3)}' is twice .*again\.pkl.*drive\.pkl"):
        OpenSceneLogSource(copy)


def test_folders_may_lie_apart(navsim_root: Path, tmp_path: Path) -> None:
    shutil.copytree(navsim_root / "navsim_logs" / "mini", tmp_path / "logs")
    alone = OpenSceneLogSource(logs_folder=tmp_path / "logs")
    assert alone.modalities == {Modality.AGENTS, Modality.TRAFFIC_LIGHTS, Modality.ROUTE, Modality.FUTURE}
    scene = alone.load(alone.tokens[0])
    assert not scene.observation.cameras
    assert scene.observation.lidar is None
    assert not scene.vector_map.lanes
    with pytest.raises(InputError, match="come without map"):
        alone.require(Modality.AGENTS, Modality.MAP)
    joined = OpenSceneLogSource(
        logs_folder=tmp_path / "logs",
        sensors_folder=navsim_root / "sensor_blobs" / "mini",
        maps_folder=navsim_root / "maps",
    )
    assert joined.modalities == set(Modality)
    assert joined.load(alone.tokens[0]).observation.cameras


def test_wrong_folders_are_named(navsim_root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no NAVSIM data root: it has no navsim_logs"):
        OpenSceneLogSource(tmp_path)
    with pytest.raises(InputError, match=r"has no split 'navtest'\. It has: mini"):
        OpenSceneLogSource(navsim_root, split="navtest")
    with pytest.raises(InputError, match="need a root"):
        OpenSceneLogSource()
    for name in ("logs_folder", "sensors_folder", "maps_folder"):
        with pytest.raises(InputError, match=r"does not exist: '.*/absent'"):
            OpenSceneLogSource(navsim_root, **{name: tmp_path / "absent"})  # type: ignore[arg-type]
    (tmp_path / "navsim_logs" / "a").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds no NAVSIM log \(\*\.pkl\)"):
        OpenSceneLogSource(tmp_path)
    (tmp_path / "navsim_logs" / "b").mkdir()
    with pytest.raises(InputError, match="several splits: a, b"):
        OpenSceneLogSource(tmp_path)


def test_a_kept_index_spares_reading_the_logs(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = OpenSceneLogSource(copy)
    first = OpenSceneLogSource(copy, index=tmp_path / "index")
    assert (tmp_path / "index" / "mini" / "drive.json").is_file()

    def refuse(path: Path) -> LogReader:
        raise AssertionError(f"read {path} again")

    with monkeypatch.context() as patch:
        patch.setattr(log_index, "LogReader", refuse)
        second = OpenSceneLogSource(copy, index=tmp_path / "index")
        assert fresh.tokens == first.tokens == second.tokens
        assert second.info(token(4)) == fresh.info(token(4))
    change_log(copy, lambda frames: frames[:-1])
    assert OpenSceneLogSource(copy, index=tmp_path / "index").tokens == fresh.tokens[:-1], "a changed log is read anew"
    (tmp_path / "index" / "mini" / "drive.json").write_text("{")
    assert OpenSceneLogSource(copy, index=tmp_path / "index").tokens == fresh.tokens[:-1], "so is one whose index is damaged"


def test_a_source_travels_without_what_is_open(source: OpenSceneLogSource) -> None:
    first = source.load(source.tokens[0])
    packed = pickle.dumps(source)
    assert len(packed) < 5_000
    other: Scene = pickle.loads(packed).load(source.tokens[0])
    np.testing.assert_array_equal(other.agents.boxes, first.agents.boxes)
    assert len(other.vector_map.lanes) == len(first.vector_map.lanes)


def test_few_logs_stay_open(copy: Path) -> None:
    for number in range(_MAX_OPEN_LOGS + 2):

        def rename(frames: list[dict[str, Any]], number: int = number) -> None:
            for frame in frames:
                frame["token"] = f"{number} {frame['token']}"

        path = PICKLE.with_name(f"log{number}.pkl")
        shutil.copy(copy / PICKLE, copy / path)
        change_log(copy, rename, path)
    source = OpenSceneLogSource(copy)
    for name in source.tokens:
        source.load(name, sensors=False)
    assert [path.stem for path in source._readers] == ["log2", "log3", "log4", "log5"]


def test_a_fingerprint_follows_logs_maps_and_sensors(navsim_root: Path, tmp_path: Path) -> None:
    root = shutil.copytree(navsim_root, tmp_path / "root")
    prints = [OpenSceneLogSource(root).fingerprint(), OpenSceneLogSource(root).fingerprint()]
    assert prints[0] == prints[1]
    image = next((root / "sensor_blobs/mini/drive/CAM_F0").glob(f"{token(3)}.jpg"))
    image.write_bytes(image.read_bytes() + b"\0")
    prints.append(OpenSceneLogSource(root).fingerprint())
    with (root / "maps" / BOSTON / CITIES[BOSTON].version / "map.gpkg").open("ab") as file:
        file.write(b"\0")
    prints.append(OpenSceneLogSource(root).fingerprint())
    change_log(root, lambda frames: frames[:-1])
    prints.append(OpenSceneLogSource(root).fingerprint())
    Path(root, "sensor_blobs/mini", f"drive/MergedPointCloud/{token(3)}.pcd").unlink()
    prints.append(OpenSceneLogSource(root).fingerprint())
    assert len(set(prints)) == 5
