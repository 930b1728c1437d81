"""NAVSIM data that are not as they should be: errors name the file, the frame and what to do. Nothing is left out silently."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyogrio")
pytest.importorskip("geopandas")

from navsim_data import BOSTON, PICKLE, change_log, copy_without_sensors, token

from diffdrive.contracts import InputError
from diffdrive.sources import OpenSceneLogSource

NOW = 4


@pytest.fixture
def copy(navsim_root: Path, tmp_path: Path) -> Path:
    return copy_without_sensors(navsim_root, tmp_path / "root")


def load(root: Path, *, sensors: bool = False) -> Any:
    return OpenSceneLogSource(root).load(token(NOW), sensors=sensors)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda content: content[: len(content) // 2], r"no whole pickle .* copy it again"),
        (lambda content: b"", "no whole pickle"),
        (lambda content: b"<html>", "no whole pickle"),
        (lambda content: b"\x80\x04}\x94.", "no NAVSIM log: a log is a list of frames"),
        (lambda content: b"\x80\x04]\x94.", "no NAVSIM log"),
        (lambda content: b"\x80\x04]\x94K\x01a.", "no NAVSIM log"),
        (lambda content: b"cos\nsystem\n(S'true'\ntR.", r"names 'os\.system'.*was not loaded"),
    ],
    ids=["truncated", "empty", "no pickle", "no list", "no frames", "no dict", "code"],
)
def test_files_that_are_no_logs(copy: Path, content: Callable[[bytes], bytes], message: str) -> None:
    (copy / PICKLE).write_bytes(content((copy / PICKLE).read_bytes()))
    with pytest.raises(InputError, match=message) as told:
        OpenSceneLogSource(copy)
    assert str(copy / PICKLE) in str(told.value)


KEYS = (
    "token",
    "timestamp",
    "log_name",
    "map_location",
    "roadblock_ids",
    "traffic_lights",
    "driving_command",
    "ego2global_translation",
    "ego2global_rotation",
    "ego_dynamic_state",
    "lidar_path",
    "cams",
    "anns",
    "anns.gt_boxes",
    "anns.gt_names",
    "anns.gt_velocity_3d",
    "anns.track_tokens",
    "cams.CAM_F0.data_path",
    "cams.CAM_F0.sensor2lidar_rotation",
    "cams.CAM_F0.sensor2lidar_translation",
    "cams.CAM_F0.cam_intrinsic",
)


def without(key: str, index: int = NOW) -> Callable[[list[dict[str, Any]]], None]:
    def remove(frames: list[dict[str, Any]]) -> None:
        *path, last = key.split(".")
        values = frames[index]
        for name in path:
            values = values[name]
        del values[last]

    return remove


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named_with_its_frame(copy: Path, key: str) -> None:
    # The name of a log is read from its first frame.
    index = 0 if key == "log_name" else NOW
    change_log(copy, without(key, index))
    with pytest.raises(
        InputError, match=rf"Frame {index} of log .*has no '{key.split('.')[-1]}'\..*Copy the log again"
    ) as told:
        load(copy, sensors=True)
    assert str(copy / PICKLE) in str(told.value)


def set_in(path: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(frames: list[dict[str, Any]]) -> None:
        *keys, last = path.split(".")
        values = frames[NOW]
        for name in keys:
            values = values[name]
        values[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("anns.gt_names", ["vehicle", "tram"]), "gt_names is 'tram', which is none of NAVSIM's classes: vehicle,"),
        (set_in("anns.gt_names", ["vehicle"]), "disagree on how many boxes there are: 2 gt_boxes, 1 gt_names"),
        (set_in("anns.track_tokens", ["a", "a"]), "must be unique"),
        (set_in("anns.gt_boxes", np.zeros((2, 7))), "must be positive"),
        (set_in("anns.gt_boxes", np.zeros((2, 5))), "damaged"),
        (set_in("anns.gt_boxes", np.full((2, 7), np.nan)), "must be finite"),
        (set_in("map_location", "us-or-portland"), "'us-or-portland', and maps are known of us-ma-boston"),
        (set_in("map_location", "sg-one-north"), "drives in sg-one-north and us-ma-boston"),
        (set_in("driving_command", [1, 1, 0, 0]), r"driving_command must be one-hot .* got \[1\.0, 1\.0, 0\.0, 0\.0\]"),
        (set_in("driving_command", [0, 1, 0]), "driving_command must be one-hot"),
        (set_in("ego_dynamic_state", [1.0, 2.0]), "ego_dynamic_state must be vx, vy, ax, ay"),
        (set_in("ego2global_translation", [1.0, 2.0]), "ego2global_translation must be three metres"),
        (set_in("ego2global_translation", [1.0, np.nan, 0.0]), "must be finite"),
        (set_in("ego2global_rotation", [0.0, 0.0, 0.0, 0.0]), "quaternion w, x, y, z"),
        (set_in("ego2global_rotation", [1.0, 0.0, 0.0]), "quaternion w, x, y, z"),
        (set_in("timestamp", "noon"), "damaged"),
        (set_in("traffic_lights", [5]), "damaged"),
        (set_in("lidar_path", None), "no LiDAR sweep: its lidar_path is None. Leave the scene out, or load it without sensors"),
        (set_in("cams.CAM_L0.cam_intrinsic", np.full((3, 3), np.nan)), "no camera L0, or not its calibration"),
        (set_in("cams.CAM_L0.cam_intrinsic", np.eye(2)), "intrinsics must have axes"),
    ],
)
def test_impossible_values_are_named_with_their_frame(
    copy: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    change_log(copy, change)
    with pytest.raises(InputError, match=message) as told:
        load(copy, sensors=True)
    assert str(copy / PICKLE) in str(told.value)


def test_frames_out_of_order_are_told(copy: Path) -> None:
    change_log(copy, set_in("timestamp", 0))
    assert token(NOW) not in OpenSceneLogSource(copy).tokens
    with pytest.raises(InputError, match=r"drive\.pkl.*strictly increasing time"):
        OpenSceneLogSource(copy, across_gaps=True).load(token(NOW + 1), sensors=False)


def test_a_log_of_another_rate_is_told(copy: Path) -> None:
    def slow(frames: list[dict[str, Any]]) -> None:
        for index, frame in enumerate(frames):
            frame["timestamp"] = index * 1_000_000

    change_log(copy, slow)
    with pytest.raises(InputError, match=r"Log '.*drive\.pkl': .*no states 0\.5 s apart"):
        OpenSceneLogSource(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("cams.CAM_F0.data_path", "gone.jpg"), r"mini/gone\.jpg' does not exist\..*load scenes without sensors"),
        (set_in("lidar_path", "gone.pcd"), r"mini/gone\.pcd' does not exist"),
        (set_in("cams.CAM_F0.data_path", f"drive/MergedPointCloud/{token(NOW)}.pcd"), r"Image '.*\.pcd' cannot be read"),
        (set_in("lidar_path", f"drive/CAM_F0/{token(NOW)}.jpg"), r"\.jpg' is no \.pcd file"),
    ],
)
def test_sensor_files_that_cannot_be_read_are_named_with_their_scene(
    copy: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    change_log(copy, change)
    with pytest.raises(InputError, match=message) as told:
        load(copy, sensors=True)
    assert re.search(rf"frame {NOW} of log '{re.escape(str(copy / PICKLE))}'", str(told.value))
    assert load(copy).token == token(NOW), "without sensors the scene is whole"


def test_a_missing_map_is_named(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    with pytest.raises(InputError, match=rf"{tmp_path / 'maps'}"):
        OpenSceneLogSource(copy, maps_folder=tmp_path / "maps").load(token(NOW), sensors=False)
    (tmp_path / "maps" / "nuplan-maps-v1.0.json").write_text('{"sg-one-north": {"version": "1"}}')
    with pytest.raises(InputError, match=f"has no city '{BOSTON}'"):
        OpenSceneLogSource(copy, maps_folder=tmp_path / "maps").load(token(NOW), sensors=False)
