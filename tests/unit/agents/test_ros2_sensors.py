"""Images, calibrations, clouds and transforms of ROS, field by field, as rosbags' and as cyclonedds' messages."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'diffdrive[ros2]'")
pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install 'diffdrive[ros2]'")

from diffdrive_agents.ros2.bag_types import make_bag_message
from diffdrive_agents.ros2.conversion.camera_info import check_size, lens_of
from diffdrive_agents.ros2.conversion.images import compressed_image_of, image_of
from diffdrive_agents.ros2.conversion.point_cloud import points_of
from diffdrive_agents.ros2.conversion.transforms import Mounting, StaticTransforms, heading_of, quaternion_of, rotation_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from ros_messages import LIBRARIES, camera_info, cloud, image, transform

from diffdrive.contracts import InputError

ORDERS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return request.param


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ORDERS)
def test_pixels_come_out_as_red_green_blue(encoding: str, padding: int, library: Callable[[Any], Any]) -> None:
    channels = {"mono8": 1}.get(encoding, 4 if "a" in encoding else 3)
    pixels = np.arange(3 * 4 * channels, dtype=np.uint8).reshape(3, 4, channels)
    read = image_of(library(image(pixels, encoding, padding=padding)))
    np.testing.assert_array_equal(read, pixels[..., ORDERS[encoding]])


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"encoding": "bayer_rggb8"}, "not supported"),
        ({"encoding": "mono16"}, "not supported"),
        ({"step": 11}, "step"),
        ({"height": 4}, "data"),
        ({"height": 0, "data": np.zeros(0, np.uint8)}, "needs rows"),
        ({"data": np.zeros(35, np.uint8)}, "35 bytes"),
    ],
)
def test_images_that_do_not_fit_themselves_are_refused(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        image_of(image(np.zeros((3, 4, 3), np.uint8), **{"encoding": "rgb8", **changed}))


def packed(pixels: np.ndarray, kind: str) -> Any:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    data = np.frombuffer(buffer.getvalue(), dtype=np.uint8)
    return make_bag_message("sensor_msgs/msg/CompressedImage", format=f"rgb8; {kind} compressed bgr8", data=data)


def test_a_png_comes_out_as_it_went_in(library: Callable[[Any], Any]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    read, content = compressed_image_of(library(packed(pixels, "PNG")))
    np.testing.assert_array_equal(read, pixels)
    assert content.startswith(b"\x89PNG")


def test_a_jpeg_comes_out_nearly_as_it_went_in_and_grey_ones_in_colour() -> None:
    pixels = np.full((16, 16, 3), (200, 30, 60), dtype=np.uint8)
    assert np.abs(compressed_image_of(packed(pixels, "JPEG"))[0].astype(int) - pixels).max() < 8
    assert compressed_image_of(packed(pixels[..., 0], "PNG"))[0].shape == (16, 16, 3)


def test_damaged_and_strange_files_are_refused() -> None:
    whole = packed(np.zeros((64, 64, 3), np.uint8), "JPEG")
    for data in (whole.data[:200], np.frombuffer(b"GIF89a", np.uint8), np.zeros(0, np.uint8)):
        with pytest.raises(InputError, match="no whole JPEG or PNG"):
            compressed_image_of(make_bag_message("sensor_msgs/msg/CompressedImage", format="jpeg", data=data))
    with pytest.raises(InputError, match="8-bit"):
        compressed_image_of(packed(np.zeros((4, 4), np.uint16), "PNG"))


def test_a_raw_camera_has_k_and_a_rectified_one_p_and_r(library: Callable[[Any], Any]) -> None:
    turned = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    message = library(camera_info(r=turned.reshape(-1)))
    raw, rectified = lens_of(message, is_rectified=False), lens_of(message, is_rectified=True)
    assert (raw.width, raw.height, raw.intrinsics[1, 1], rectified.intrinsics[1, 1]) == (64, 32, 101.0, 202.0)
    np.testing.assert_array_equal(raw.image_from_optical, np.eye(3))
    np.testing.assert_array_equal(rectified.image_from_optical, turned)


def test_distorted_raw_images_are_refused_and_rectified_ones_are_not() -> None:
    message = camera_info(d=np.array([-0.3, 0.1, 0.0, 0.0, 0.0]))
    with pytest.raises(InputError, match="image_rect"):
        lens_of(message, is_rectified=False)
    assert lens_of(message, is_rectified=True).intrinsics[0, 0] == 200.0


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"k": np.zeros(9)}, "no calibration"),
        ({"k": np.full(9, np.nan)}, "no calibration"),
        ({"binning_x": 2}, "binned"),
        ({"roi": make_bag_message("sensor_msgs/msg/RegionOfInterest", width=10)}, "cut"),
    ],
)
def test_calibrations_that_do_not_hold_are_refused(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        lens_of(camera_info(**changed), is_rectified=False)


def test_an_image_of_another_size_than_its_calibration_is_refused() -> None:
    with pytest.raises(InputError, match="64 x 32"):
        check_size(lens_of(camera_info(), is_rectified=False), np.zeros((32, 63, 3), np.uint8))


def layout(names: list[str], formats: list[str], offsets: list[int], size: int) -> np.dtype[Any]:
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


LAYOUTS = {
    "plain": layout(["x", "y", "z"], ["<f4"] * 3, [0, 4, 8], 12),
    "velodyne": layout(["x", "y", "z", "intensity", "ring"], ["<f4"] * 4 + ["<u2"], [0, 4, 8, 16, 20], 32),
    "mixed": layout(["z", "x", "y"], ["<f8", "<f4", "<f4"], [3, 11, 15], 21),
    "big endian": layout(["intensity", "y", "x", "z"], ["u1", ">f4", ">f4", ">f8"], [0, 1, 5, 9], 17),
}
POINTS = np.array([[1.5, -2.0, 0.25], [40.0, 3.0, 1.0], [-7.0, 0.5, 2.0], [0.0, 9.0, -1.0]])


@pytest.mark.parametrize("shape", [(1, 0), (2, 6)], ids=["one row", "two padded rows"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_points_are_read_wherever_they_lie(name: str, shape: tuple[int, int], library: Callable[[Any], Any]) -> None:
    rows, padding = shape
    points = points_of(library(cloud(LAYOUTS[name], POINTS, rows=rows, padding=padding)))
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, POINTS.astype(np.float32))


def test_admitted_invalid_points_are_dropped_and_denied_ones_stay_to_be_seen() -> None:
    points = POINTS.copy()
    points[1, 2] = np.nan
    assert len(points_of(cloud(LAYOUTS["plain"], points, is_dense=False))) == 3
    assert np.isnan(points_of(cloud(LAYOUTS["plain"], points))).sum() == 1


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"fields": []}, "no field x, y, z"),
        ({"width": 5}, "row_step"),
        ({"height": 2}, "bytes of data"),
        ({"point_step": 8}, "ends beyond"),
        ({"width": 0, "row_step": 0, "data": np.zeros(0, np.uint8)}, "no valid point"),
    ],
)
def test_clouds_that_do_not_fit_themselves_are_refused(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        points_of(cloud(LAYOUTS["plain"], POINTS, **changed))


def test_integers_are_no_coordinates() -> None:
    message = cloud(LAYOUTS["plain"], POINTS)
    message.fields[1].datatype = 5
    with pytest.raises(InputError, match="field y must be one FLOAT32"):
        points_of(message)


def tf(*transforms: Any) -> Any:
    return make_bag_message("tf2_msgs/msg/TFMessage", transforms=list(transforms))


QUARTER = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
STILL = (0.0, 0.0, 0.0, 1.0)


def test_a_chain_of_static_transforms_leads_to_the_base(library: Callable[[Any], Any]) -> None:
    known = StaticTransforms().with_message(
        library(
            tf(transform("kit", "base_link", (1.0, 0.0, 2.0), QUARTER), transform("camera", "/kit", (0.5, 0.0, 0.0), STILL))
        )
    )
    np.testing.assert_allclose(known.base_from("camera", "base_link")[:3, 3], [1.0, 0.5, 2.0], atol=1e-12)
    np.testing.assert_allclose(
        known.base_from("base_link", "camera") @ known.base_from("camera", "base_link"), np.eye(4), atol=1e-12
    )
    np.testing.assert_array_equal(known.base_from("base_link", "base_link"), np.eye(4))


def test_frames_that_nothing_joins_and_circles_are_refused() -> None:
    known = StaticTransforms().with_message(tf(transform("kit", "base_link", (1.0, 0.0, 2.0), STILL)))
    with pytest.raises(InputError, match="where frame 'lidar' sits on 'base_link'"):
        known.base_from("lidar", "base_link")
    circle = known.with_message(tf(transform("a", "b", (0, 0, 0), STILL), transform("b", "a", (0, 0, 0), STILL)))
    with pytest.raises(InputError, match="circle"):
        circle.base_from("a", "base_link")
    with pytest.raises(InputError, match="unit quaternion"):
        known.with_message(tf(transform("a", "b", (0, 0, 0), (0.0, 0.0, 0.0, 0.0))))


ANGLES = st.floats(-3.0, 3.0)


@given(roll=ANGLES, pitch=st.floats(-1.5, 1.5), yaw=ANGLES)
def test_a_mounting_turns_as_its_quaternion_does(roll: float, pitch: float, yaw: float) -> None:
    matrix = Mounting(roll_rad=roll, pitch_rad=pitch, yaw_rad=yaw).parent_from_frame[:3, :3]
    quaternion = make_bag_message("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", quaternion_of(matrix), strict=True)))
    np.testing.assert_allclose(rotation_of(quaternion), matrix, atol=1e-9)
    ahead = matrix @ [1.0, 0.0, 0.0]
    assert heading_of(quaternion) == pytest.approx(np.arctan2(ahead[1], ahead[0]), abs=1e-9)


def test_a_camera_mounted_to_the_left_and_turned_there_looks_there() -> None:
    # An optical frame looks along z; rolled and yawed by minus a quarter it looks along the base's x.
    optical = Mounting(x_m=1.5, roll_rad=-np.pi / 2, yaw_rad=-np.pi / 2).parent_from_frame
    np.testing.assert_allclose(optical @ [0.0, 0.0, 10.0, 1.0], [11.5, 0.0, 0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(optical @ [1.0, 0.0, 0.0, 1.0], [1.5, -1.0, 0.0, 1.0], atol=1e-12)
