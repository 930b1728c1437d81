"""Log pickles and sensor files, frame by frame against what they were made of; and what cannot be exported."""

import pickle
import pickletools
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made_town import frame, log
from PIL import Image

from diffdrive.contracts import InputError
from diffdrive.openscene import export_logs
from diffdrive.openscene.format import CAMERA_NAMES, CITIES, PCD_FIELDS, token_of
from diffdrive.scene import CameraId, Scene, VectorMap

pyogrio = pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

BOSTON = "us-ma-boston"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "out"
    export_logs([log(sensors=True)], folder, city=BOSTON)
    return folder


@pytest.fixture(scope="module")
def frames(out: Path) -> list[dict[str, Any]]:
    return pickle.loads((out / "navsim_logs" / "mini" / "drive.pkl").read_bytes())


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [frame(i, sensors=True) for i in range(4)]


def test_frames_say_what_the_scenes_say(out: Path, frames: list[dict[str, Any]], scenes: list[Scene]) -> None:
    assert len(frames) == len(scenes)
    for written, scene in zip(frames, scenes, strict=True):
        ego = scene.observation.ego
        assert written["token"] == token_of(scene.token)
        assert len(written["token"]) == 16
        assert (written["timestamp"], written["log_name"], written["map_location"]) == (ego.timestamp_us, "drive", BOSTON)
        shift = written["ego2global_translation"][:2] - scene.world_from_ego[:2]
        np.testing.assert_allclose(shift, np.array(CITIES[BOSTON].origin) - [0, -8], atol=1e-6)
        w, x, y, z = written["ego2global_rotation"]
        assert (x, y) == (0, 0)
        assert 2 * np.arctan2(z, w) == pytest.approx(scene.world_from_ego[2])
        assert written["ego_dynamic_state"] == [6.0, 0.1, 0.2, -0.3]
        assert written["driving_command"].tolist() == [0, 0, 1, 0]


def test_boxes_are_centre_size_heading(frames: list[dict[str, Any]], scenes: list[Scene]) -> None:
    for written, scene in zip(frames, scenes, strict=True):
        anns, agents = written["anns"], scene.agents
        np.testing.assert_array_equal(anns["gt_boxes"][:, [0, 1, 6, 3, 4]], agents.boxes)
        np.testing.assert_array_equal(anns["gt_boxes"][:, [2, 5]], agents.vertical)
        np.testing.assert_array_equal(anns["gt_velocity_3d"], np.column_stack([agents.velocities, np.zeros(2)]))
        assert list(anns["gt_names"]) == ["vehicle", "traffic_cone"]
        assert anns["track_tokens"] == ["car", "cone"]
    assert len({token for written in frames for token in written["anns"]["instance_tokens"]}) == 8


def test_routes_and_lights_name_objects_of_the_map(out: Path, frames: list[dict[str, Any]]) -> None:
    path = out / "maps" / BOSTON / CITIES[BOSTON].version / "map.gpkg"
    layers = {
        name: pyogrio.read_dataframe(path, layer=name, fid_as_index=True)
        for name in ("lane_groups_polygons", "lane_group_connectors", "lane_connectors")
    }
    blocks = {*layers["lane_groups_polygons"].index, *layers["lane_group_connectors"].index}
    sources = layers["lane_connectors"]["source_id"]
    for index, written in enumerate(frames):
        assert len(written["roadblock_ids"]) == 7
        assert all(type(name) is str and int(name) in blocks for name in written["roadblock_ids"])
        ((connector, is_red),) = written["traffic_lights"]
        assert (sources[connector], is_red) == ("x", index % 2 == 1)


def test_pickles_name_nothing_that_older_numpy_lacks(out: Path) -> None:
    content = (out / "navsim_logs" / "mini" / "drive.pkl").read_bytes()
    strings = [value for _, value, _ in pickletools.genops(content) if isinstance(value, str)]
    assert "ndarray" in strings
    assert not [value for value in strings if "_core" in value or value.startswith("numpy.")]
    (first, *_) = pickle.loads(content)
    first["anns"]["gt_boxes"][0, 0] = 1.0  # arrays can be changed, as the devkit's own can


def test_a_frame_without_agents_keeps_the_shape_of_its_boxes(tmp_path: Path) -> None:
    from diffdrive.scene import Agents

    empty = replace(log(), load=lambda token: replace(log().load(token), agents=Agents.none()))
    export_logs([empty], tmp_path / "out", city=BOSTON, sensors=False)
    (first, *_) = pickle.loads((tmp_path / "out" / "navsim_logs" / "mini" / "drive.pkl").read_bytes())
    assert first["anns"]["gt_boxes"].shape == (0, 7)
    assert first["anns"]["gt_velocity_3d"].shape == (0, 3)


def test_point_clouds_come_back_equal(out: Path, frames: list[dict[str, Any]], scenes: list[Scene]) -> None:
    for written, scene in zip(frames, scenes, strict=True):
        content = (out / "sensor_blobs" / "mini" / written["lidar_path"]).read_bytes()
        head, body = content.split(b"DATA binary\n")
        header = dict(line.split(" ", 1) for line in head.decode().splitlines() if not line.startswith("#"))
        assert header["FIELDS"].split() == list(PCD_FIELDS)
        assert (header["SIZE"], header["TYPE"], header["POINTS"]) == ("4 4 4 1 1 1", "F F F U U U", "50")
        points = np.array([values[:3] for values in struct.iter_unpack("<fffBBB", body)], dtype=np.float32)
        assert scene.observation.lidar is not None
        np.testing.assert_array_equal(points, scene.observation.lidar.points)


def test_images_are_brought_to_the_format_s_size_with_their_intrinsics(
    out: Path, frames: list[dict[str, Any]], scenes: list[Scene]
) -> None:
    camera = frames[0]["cams"]["CAM_F0"]
    source = scenes[0].observation.cameras[CameraId.F0]
    image = Image.open(out / "sensor_blobs" / "mini" / camera["data_path"])
    assert image.size == (1920, 1080)
    assert np.abs(np.asarray(image).mean(axis=(0, 1)) - source.image[0, 0]).max() < 3
    np.testing.assert_allclose(camera["cam_intrinsic"], [[1920, 0, 960], [0, 1920, 560], [0, 0, 1]])
    np.testing.assert_array_equal(camera["sensor2lidar_rotation"], source.ego_from_camera[:3, :3])
    np.testing.assert_array_equal(camera["sensor2lidar_translation"], source.ego_from_camera[:3, 3])


def test_cameras_that_the_log_lacks_are_black_and_without_calibration(out: Path, frames: list[dict[str, Any]]) -> None:
    for written in frames:
        assert set(written["cams"]) == set(CAMERA_NAMES.values())
        camera = written["cams"]["CAM_B0"]
        assert np.isnan(camera["sensor2lidar_rotation"]).all()
        assert np.asarray(Image.open(out / "sensor_blobs" / "mini" / camera["data_path"])).max() == 0
    assert len(list((out / "sensor_blobs" / "mini" / "drive" / "CAM_B0").iterdir())) == 1


def test_without_sensors_there_are_paths_but_no_files(tmp_path: Path) -> None:
    export_logs([log()], tmp_path / "out", city=BOSTON, sensors=False)
    (first, *_) = pickle.loads((tmp_path / "out" / "navsim_logs" / "mini" / "drive.pkl").read_bytes())
    assert first["lidar_path"].endswith(".pcd")
    assert not (tmp_path / "out" / "sensor_blobs").exists()


@pytest.mark.parametrize(
    ("logs", "city", "message"),
    [
        ([log()], "us-or-portland", "no city called 'us-or-portland'"),
        ([], BOSTON, "no log"),
        ([log(), log()], BOSTON, "Two logs are called drive"),
        ([log(vector_map=VectorMap())], BOSTON, "none for log drive"),
        ([log(step_us=1_000_000)], BOSTON, r"1\.00 s between frames 0 and 1"),
    ],
)
def test_what_cannot_be_exported_says_why_and_leaves_nothing(tmp_path: Path, logs: Any, city: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_logs(logs, tmp_path / "out", city=city, sensors=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(InputError, match="exists already"):
        export_logs([log()], tmp_path / "out", city=BOSTON, sensors=False)
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_an_export_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def load(token: str) -> Scene:
        raise InputError("unreadable")

    with pytest.raises(InputError, match="unreadable"):
        export_logs([log("whole"), replace(log(), load=load)], tmp_path / "out", city=BOSTON, sensors=False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export_logs([log()], tmp_path / "out", city=BOSTON, sensors=False)
    assert (tmp_path / "out" / "navsim_logs").is_dir()
