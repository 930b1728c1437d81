"""A log read back is the log that was written, in the world frame; damage raises."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("py123d")

from small_log import (
    EGO_FROM_CAMERA,
    FRAMES,
    SPEED,
    START_US,
    YAW_RATE,
    agents_at,
    poses,
    sensors_at,
    town_map,
    write_small_root,
)

from diffdrive.contracts import InputError
from diffdrive.geometry import invert_transform, to_local, transform_points
from diffdrive.log123d import write
from diffdrive.log123d.find import find_logs
from diffdrive.log123d.read import LIDAR_KEY, ROUTE_KEY, LogReader
from diffdrive.scene import Agents, CameraId, LightState, VectorMap
from diffdrive.vehicle import PACIFICA


def reader(root: Path) -> LogReader:
    (folder,) = find_logs(root)
    return LogReader(folder, root)


@pytest.fixture(scope="module")
def log(small_root: Path) -> LogReader:
    return reader(small_root)


def test_identity_and_time(log: LogReader) -> None:
    assert (log.name, log.dataset, log.split, log.location) == ("bend", "drivetown", "drivetown_val", "hand")
    assert log.has_map
    assert not log.map_is_per_log
    assert len(log) == FRAMES
    assert log.timestamps_us[[0, -1]].tolist() == [START_US, START_US + 8_000_000]
    assert log.interval_s == pytest.approx(0.1)
    assert log.vehicle == PACIFICA


def test_ego_states_come_back_in_the_world_frame(log: LogReader) -> None:
    for frame in (0, 40, 80):
        state = log.ego(frame)
        assert state.timestamp_us == START_US + 100_000 * frame
        np.testing.assert_allclose(state.pose, poses()[frame], atol=1e-9)
        np.testing.assert_allclose(state.velocity, [SPEED, 0])
        np.testing.assert_allclose(state.acceleration, [0, SPEED * YAW_RATE])
        np.testing.assert_allclose(log.world_from_body(frame)[:3, 3], [*poses()[frame, :2], 0.0], atol=1e-9)


def test_an_imu_away_from_the_rear_axle_is_moved_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from py123d.geometry import PoseSE3

    original = write._ego_metadata

    def imu_up_front(vehicle: object) -> object:
        metadata = original(vehicle)
        # 2 m ahead of the axle and 0.4 m above the ground.
        metadata.rear_axle_to_imu_se3 = PoseSE3(-2.0, 0, -0.1, 1, 0, 0, 0)
        metadata.center_to_imu_se3 = PoseSE3(-0.5, 0, PACIFICA.height / 2 - 0.4, 1, 0, 0, 0)
        return metadata

    monkeypatch.setattr(write, "_ego_metadata", imu_up_front)
    log = reader(write_small_root(tmp_path, frames=5, sensor_frames=[3]))
    imu = poses()[3]
    state = log.ego(3)
    np.testing.assert_allclose(to_local(state.pose, imu), [-2, 0, 0], atol=1e-9)
    np.testing.assert_allclose(state.velocity, [SPEED, -2 * YAW_RATE], atol=1e-9)
    np.testing.assert_allclose(state.acceleration, [2 * YAW_RATE**2, SPEED * YAW_RATE], atol=1e-9)
    assert log.world_from_body(3)[2, 3] == pytest.approx(-0.4)
    # The log keeps sensors in the frame of the IMU.
    sweep, written = log.lidar(3), sensors_at(3).lidar
    assert sweep is not None
    assert written is not None
    np.testing.assert_allclose(sweep.points, written.points + [2, 0, 0.4], atol=2e-3)
    camera = log.cameras(3)[CameraId.F0]
    np.testing.assert_allclose(camera.ego_from_camera[:3, 3], EGO_FROM_CAMERA[:3, 3] + [2, 0, 0.4], atol=1e-9)


def test_agents_come_back_in_the_world_frame(log: LogReader) -> None:
    agents, expected = log.agents(30), agents_at(30)
    assert agents.track_tokens == expected.track_tokens
    assert agents.kinds == expected.kinds
    for name in ("boxes", "vertical", "velocities"):
        np.testing.assert_allclose(getattr(agents, name), getattr(expected, name), atol=2e-3)


def test_a_frame_without_boxes_has_no_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("small_log.agents_at", lambda frame: Agents.none())
    assert len(reader(write_small_root(tmp_path, frames=5)).agents(2)) == 0


def test_traffic_lights_follow_their_lane(log: LogReader) -> None:
    before, after = log.traffic_lights(39), log.traffic_lights(40)
    assert [(light.lane_id, light.state) for light in before] == [("2", LightState.RED)]
    assert [(light.lane_id, light.state) for light in after] == [("2", LightState.GREEN)]
    assert log.vector_map().lane("2") is not None


def test_sensors_come_back_in_the_body_frame(log: LogReader) -> None:
    frames = log.cameras(20)
    assert set(frames) == {CameraId.L0, CameraId.F0, CameraId.R0}
    for camera, expected in sensors_at(20).cameras.items():
        np.testing.assert_allclose(frames[camera].image.astype(int), expected.image, atol=2)
        np.testing.assert_allclose(frames[camera].intrinsics, expected.intrinsics)
        np.testing.assert_allclose(frames[camera].ego_from_camera, EGO_FROM_CAMERA, atol=1e-9)
    sweep = log.lidar(20)
    assert sweep is not None
    np.testing.assert_allclose(sweep.points, sensors_at(20).lidar.points, atol=2e-3)  # type: ignore[union-attr]
    assert not log.has(LIDAR_KEY)[21]
    assert log.lidar(21) is None
    assert log.cameras(21) == {}


def test_a_distorted_image_is_straightened(log: LogReader, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = log._scene
    shot = scene.get_camera_at_iteration(20, 0)
    image = np.zeros((32, 64, 3), dtype=np.uint8)
    image[4:28, 4] = 255
    bent = SimpleNamespace(
        image=image,
        camera_to_global_se3=shot.camera_to_global_se3,
        metadata=SimpleNamespace(
            intrinsics=shot.metadata.intrinsics,
            distortion=SimpleNamespace(array=np.array([-0.2, 0, 0, 0, 0])),
            is_undistorted=False,
        ),
    )
    monkeypatch.setattr(
        log,
        "_scene",
        SimpleNamespace(
            get_camera_at_iteration=lambda *_: bent,
            get_ego_state_se3_at_iteration=scene.get_ego_state_se3_at_iteration,
        ),
    )
    straightened = log.cameras(20)[CameraId.F0].image
    assert straightened[:, :4].any(), "the line near the border moves outwards"
    bent.metadata.is_undistorted = True
    np.testing.assert_array_equal(log.cameras(20)[CameraId.F0].image, image)


def test_a_truncated_image_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def save_half(image: Image.Image, target: BytesIO, **options: object) -> None:
        save(image, target, **options)  # type: ignore[arg-type]
        target.truncate(len(target.getvalue()) // 2)

    with monkeypatch.context() as writing:
        writing.setattr(Image.Image, "save", save_half)
        writing.setattr("py123d.api.scene.arrow.modalities.arrow_camera.is_jpeg_binary", lambda _: True)
        log = reader(write_small_root(tmp_path, frames=5, sensor_frames=[3]))
    with pytest.raises(InputError, match=r"image 'camera\.pcam_f0' at iteration 3 of log .* cannot be read"):
        log.cameras(3)


def test_a_planned_route_is_given_and_a_driven_one_is_not(log: LogReader, tmp_path: Path) -> None:
    route = log.provided_route
    assert route is not None
    np.testing.assert_allclose(route[0], poses()[0, :2], atol=1e-6)
    # The plan reaches 40 m beyond the drive.
    assert np.hypot(*(route[-1] - poses()[-1, :2])) > 39
    assert log.route_progress(40) == pytest.approx(0.1 * SPEED * 40, abs=0.6)
    log._metadata[ROUTE_KEY] = SimpleNamespace(source="ego_state_se3", polyline_xyz=np.zeros((4, 3)))
    vars(log).pop("provided_route")
    assert log.provided_route is None
    assert reader(write_small_root(tmp_path, with_route=False, frames=5)).provided_route is None


def test_the_map_comes_back(log: LogReader) -> None:
    expected = town_map()
    found = log.vector_map()
    for lane in expected.lanes:
        same = found.lane(lane.lane_id)
        assert same is not None
        for name in ("centerline", "left_boundary", "right_boundary"):
            np.testing.assert_allclose(getattr(same, name), getattr(lane, name), atol=1e-6)
        plain = {"centerline": lane.centerline, "left_boundary": lane.left_boundary, "right_boundary": lane.right_boundary}
        assert repr(replace(same, **plain)) == repr(lane)  # type: ignore[arg-type]
    areas = {area.area_id: area for area in found.areas}
    for area in expected.areas:
        assert areas[area.area_id].kind is area.kind
        assert areas[area.area_id].lane_ids == area.lane_ids
        np.testing.assert_allclose(areas[area.area_id].outline, area.outline, atol=1e-6)
    assert sorted((line.line_id, line.kind.value) for line in found.lines) == [("8", "road_edge"), ("9", "dashed_white")]


def test_an_oncoming_lane_is_no_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = town_map().lanes
    turned = replace(
        lanes[2],
        centerline=lanes[2].centerline[::-1],
        left_boundary=lanes[2].right_boundary[::-1],
        right_boundary=lanes[2].left_boundary[::-1],
        left_lane_id="2",
        right_lane_id=None,
    )
    monkeypatch.setattr("small_log.town_map", lambda: VectorMap(lanes=(lanes[0], lanes[1], turned)))
    found = reader(write_small_root(tmp_path, frames=5)).vector_map()
    assert [lane.left_lane_id for lane in found.lanes] == [None, None, None]


def test_a_folder_that_is_no_data_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder 'logs'"):
        find_logs(tmp_path)
    (tmp_path / "logs").mkdir()
    with pytest.raises(InputError, match="holds no log"):
        find_logs(tmp_path)


def test_an_incomplete_log_raises_instead_of_disappearing(tmp_path: Path) -> None:
    root = write_small_root(tmp_path, frames=5)
    (root / "logs" / ".half-written").mkdir()
    assert len(find_logs(root)) == 1
    empty = root / "logs" / "drivetown_val" / "interrupted"
    empty.mkdir()
    with pytest.raises(InputError, match=r"no sync\.arrow"):
        find_logs(root)
    empty.rmdir()
    (root / "logs" / "drivetown_val" / "bend" / "sync.arrow").unlink()
    with pytest.raises(InputError, match=r"no sync\.arrow"):
        find_logs(root)


@pytest.mark.parametrize("name", ["sync", "ego_state_se3", "box_detections_se3"])
def test_a_truncated_file_raises(tmp_path: Path, name: str) -> None:
    root = write_small_root(tmp_path, frames=5)
    file = root / "logs" / "drivetown_val" / "bend" / f"{name}.arrow"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match="cannot be read"):
        reader(root)


def test_a_log_whose_map_is_missing_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"map of log .* is missing"):
        reader(write_small_root(tmp_path, frames=5, with_map=False))


def test_a_log_without_ego_states_raises(tmp_path: Path) -> None:
    root = write_small_root(tmp_path, frames=5)
    (root / "logs" / "drivetown_val" / "bend" / "ego_state_se3.arrow").unlink()
    with pytest.raises(InputError, match="no ego state"):
        reader(root)


def test_real_velocities_are_motion_and_the_body_frame_stands_on_the_road(av2_root: Path) -> None:
    from py123d.api.map.arrow.arrow_map_api import get_lru_cached_map_api

    for folder in find_logs(av2_root):
        log = LogReader(folder, av2_root)
        for frame in range(10, 140, 20):
            before, now, after = log.ego(frame - 2), log.ego(frame), log.ego(frame + 2)
            elapsed_s = (after.timestamp_us - before.timestamp_us) * 1e-6
            moved = to_local(after.pose, now.pose)[:2] - to_local(before.pose, now.pose)[:2]
            np.testing.assert_allclose(moved / elapsed_s, now.velocity, atol=0.1)
        road = [lane.left_boundary.array for lane in get_lru_cached_map_api(log.map_file).get_all_map_objects_in_layer("lane")]
        local = transform_points(invert_transform(log.world_from_body(50)), np.concatenate(road))
        under_the_car = local[np.hypot(local[:, 0], local[:, 1]) < 8, 2]
        assert abs(float(np.median(under_the_car))) < 0.1
        assert log.provided_route is None
        assert sum(lane.intersection_id is not None for lane in log.vector_map().lanes) > 50
