"""One real frame: what it holds, and what happens when a part of it is damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners, invert_transform, project_points, to_local, transform_points
from diffdrive.scene import AgentKind, CameraId, DrivingCommand, Modality, Scene
from diffdrive.sources import NuscenesSampleSource

IDENTITY = np.eye(4).tolist()


@pytest.fixture(scope="module")
def real(nuscenes_folder: Path) -> Scene:
    source = NuscenesSampleSource(nuscenes_folder, speed_mps=9.0)
    return source.load(source.tokens[0])


def points_inside(scene: Scene) -> np.ndarray:
    """[A] points of the sweep inside each box."""
    assert scene.observation.lidar is not None
    points = scene.observation.lidar.points
    counts = []
    for box, (z, height) in zip(scene.agents.boxes, scene.agents.vertical, strict=True):
        flat = np.abs(to_local(points[:, :2].astype(float), box[:3])) <= box[3:5] / 2
        counts.append(int((flat.all(axis=1) & (np.abs(points[:, 2] - z) <= height / 2)).sum()))
    return np.array(counts)


def test_real_boxes_hold_the_annotated_number_of_points(real: Scene, nuscenes_folder: Path) -> None:
    annotated = np.array([i["num_lidar_pts"] for i in json.loads((nuscenes_folder / "sample.json").read_text())["instances"]])
    found = points_inside(real)
    assert (np.abs(found - annotated) <= 1 + 0.05 * annotated).mean() > 0.9
    assert found.sum() > 0.95 * annotated.sum()


def test_the_real_ground_is_at_height_zero(real: Scene) -> None:
    assert real.observation.lidar is not None
    points = real.observation.lidar.points
    near = points[(np.hypot(points[:, 0], points[:, 1]) < 15) & (np.abs(points[:, 2]) < 0.5)]
    assert abs(float(np.median(near[:, 2]))) < 0.05


def test_the_real_truck_ahead_on_the_left_is_in_the_front_image(real: Scene) -> None:
    trucks = real.agents.of_kind(AgentKind.VEHICLE)
    (truck,) = trucks.select((trucks.boxes[:, 0] > 8) & (trucks.boxes[:, 0] < 20) & (trucks.boxes[:, 3] > 6)).boxes
    frame = real.observation.cameras[CameraId.F0]
    assert frame.image.shape == (1080, 1920, 3)
    rear_right = np.array([*box_corners(truck)[1 if abs(truck[2]) > 1.5 else 2], 1.5])
    pixel, depth = project_points(transform_points(invert_transform(frame.ego_from_camera), rear_right), frame.intrinsics)
    # Read off the image: the corner of the truck is at column 530, from row 240 to row 800.
    assert depth > 0
    assert abs(pixel[0] - 530) < 25
    assert 240 < pixel[1] < 800


def test_real_speed_follows_from_the_calibration(nuscenes_folder: Path, real: Scene) -> None:
    source = NuscenesSampleSource(nuscenes_folder, speed_mps=0.0)
    assert source.implied_speed_mps == pytest.approx(9.28, abs=0.05)
    assert source.load(source.tokens[0], sensors=False).observation.ego.speed == 0.0
    assert real.observation.ego.velocity.tolist() == [9.0, 0.0]
    assert real.observation.ego.acceleration.tolist() == [0.0, 0.0]
    assert real.observation.command is DrivingCommand.UNKNOWN
    assert real.future is None
    assert real.vector_map.lanes == ()
    assert source.modalities == {Modality.CAMERAS, Modality.LIDAR, Modality.AGENTS}


def write_sample(folder: Path) -> dict[str, Any]:
    """A sample made by hand: the LiDAR 1.8 m above the rear axle and turned left by a quarter, one pedestrian."""
    lidar2ego = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1.8], [0, 0, 0, 1]])
    cam2ego = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]])
    images = {}
    for name in ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"):
        Image.new("RGB", (1600, 900), (10, 120, 240)).save(folder / f"{name}.jpg")
        images[name] = {
            "img_path": f"{name}.jpg",
            "cam2img": [[1000, 0, 800], [0, 1000, 450], [0, 0, 1]],
            "cam2ego": cam2ego.tolist(),
            "lidar2cam": (np.linalg.inv(cam2ego) @ lidar2ego).tolist(),
            "timestamp": 100.0,
        }
    points = np.array([[5, 0, -1.8, 0.5, 3], [0, 7, 0.2, 0.5, 4]], dtype=np.float32)
    points.tofile(folder / "sweep.bin")
    sample = {
        "token": "made-by-hand",
        "timestamp": 100.0,
        "ego2global": IDENTITY,
        "images": images,
        "lidar_points": {"lidar_path": "sweep.bin", "lidar2ego": lidar2ego.tolist()},
        "instances": [{"bbox_3d": [5, 0, -0.9, 0.8, 0.6, 1.8, 0.0], "bbox_label_3d": 7, "velocity": [1.5, float("nan")]}],
        "metainfo": {"categories": {"pedestrian": 7}},
    }
    (folder / "sample.json").write_text(json.dumps(sample))
    return sample


def test_everything_is_brought_into_the_ego_frame(tmp_path: Path) -> None:
    write_sample(tmp_path)
    source = NuscenesSampleSource(tmp_path, 3.0)
    scene = source.load("made-by-hand")
    assert scene.observation.lidar is not None
    np.testing.assert_allclose(scene.observation.lidar.points, [[0, 5, 0], [-7, 0, 2]], atol=1e-6)
    np.testing.assert_allclose(scene.agents.boxes, [[0, 5, np.pi / 2, 0.8, 0.6]], atol=1e-9)
    np.testing.assert_allclose(scene.agents.vertical, [[0.9, 1.8]], atol=1e-9)
    np.testing.assert_allclose(scene.agents.velocities, [[0, 1.5]], atol=1e-9)
    assert scene.agents.kinds == (AgentKind.PEDESTRIAN,)
    frame = scene.observation.cameras[CameraId.R0]
    np.testing.assert_allclose(frame.ego_from_camera[:3, 3], [1.5, 0, 1.6], atol=1e-9)
    # A point on the optical axis: the centre of pixel (800, 450) of the image, scaled by 1.2.
    np.testing.assert_allclose(frame.intrinsics, [[1200, 0, 960.1], [0, 1200, 540.1], [0, 0, 1]])
    with pytest.raises(InputError, match="exposed at the time of the sweep"):
        _ = source.implied_speed_mps


def test_an_unlisted_category_is_a_generic_object(tmp_path: Path) -> None:
    sample = write_sample(tmp_path)
    sample["instances"][0]["bbox_label_3d"] = -1
    (tmp_path / "sample.json").write_text(json.dumps(sample))
    assert NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand").agents.kinds == (AgentKind.GENERIC_OBJECT,)


@pytest.mark.parametrize("key", ["token", "timestamp", "ego2global", "images", "lidar_points", "instances", "metainfo"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    sample = write_sample(tmp_path)
    del sample[key]
    (tmp_path / "sample.json").write_text(json.dumps(sample))
    with pytest.raises(InputError, match=f"lacks '{key}'"):
        NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand")


def test_a_matrix_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    sample = write_sample(tmp_path)
    for wrong, message in ([[1, 2], [3, 4]], "shape"), ("text", "not a matrix"), ([[1], [2, 3]], "not a matrix"):
        sample["images"]["CAM_FRONT"]["lidar2cam"] = wrong
        (tmp_path / "sample.json").write_text(json.dumps(sample))
        with pytest.raises(InputError, match=message):
            NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand")


def _truncate(path: Path, drop: int) -> None:
    path.write_bytes(path.read_bytes()[:-drop])


@pytest.mark.parametrize(
    ("name", "drop", "message"),
    [
        ("CAM_FRONT.jpg", 2000, "truncated"),
        ("sweep.bin", 6, "no whole number of points"),
        ("sample.json", 40, "not valid JSON"),
    ],
)
def test_truncated_files_are_refused(tmp_path: Path, name: str, drop: int, message: str) -> None:
    write_sample(tmp_path)
    _truncate(tmp_path / name, drop)
    with pytest.raises(InputError, match=message):
        NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand")


@pytest.mark.parametrize("name", ["CAM_FRONT_LEFT.jpg", "sweep.bin", "sample.json"])
def test_missing_files_are_refused(tmp_path: Path, name: str) -> None:
    write_sample(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match="does not exist"):
        NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand")


def test_images_of_another_size_and_points_that_are_nan_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path)
    Image.new("RGB", (800, 450)).save(tmp_path / "CAM_FRONT.jpg")
    with pytest.raises(InputError, match="must be 1600 x 900 pixels"):
        NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand")
    write_sample(tmp_path)
    np.full((2, 5), np.nan, dtype=np.float32).tofile(tmp_path / "sweep.bin")
    with pytest.raises(InputError, match="finite"):
        NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand")


def test_sensors_are_not_touched_when_not_asked_for(tmp_path: Path) -> None:
    write_sample(tmp_path)
    for file in (*tmp_path.glob("*.jpg"), *tmp_path.glob("*.bin")):
        file.unlink()
    assert len(NuscenesSampleSource(tmp_path, 3.0).load("made-by-hand", sensors=False).agents) == 1


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_an_impossible_speed_is_refused(tmp_path: Path, speed: float) -> None:
    write_sample(tmp_path)
    with pytest.raises(InputError, match="speed_mps"):
        NuscenesSampleSource(tmp_path, speed)
    shutil.rmtree(tmp_path)
