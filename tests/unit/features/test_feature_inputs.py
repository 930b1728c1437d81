"""What the network sees: camera, LiDAR histogram, ego status."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_camera, build_inputs, build_lidar, build_status
from diffdrive.scene import CameraFrame, CameraId, DrivingCommand, EgoState, LidarSweep, Observation
from diffdrive.tensors import InputLayout

FRONT = (CameraId.L0, CameraId.F0, CameraId.R0)
NANO = InputLayout(camera_height=64, camera_width=256, lidar_pixels=64)


def frame(image: np.ndarray) -> CameraFrame:
    return CameraFrame(image=image, intrinsics=np.eye(3), ego_from_camera=np.eye(4))


def random_cameras(width: int, height: int, seed: int = 0) -> dict[CameraId, CameraFrame]:
    rng = np.random.default_rng(seed)
    return {camera: frame(rng.integers(0, 256, (height, width, 3), np.uint8)) for camera in FRONT}


def flat_cameras(width: int, height: int) -> dict[CameraId, CameraFrame]:
    return {camera: frame(np.full((height, width, 3), 50 * (k + 1), np.uint8)) for k, camera in enumerate(FRONT)}


def observation(**changes) -> Observation:
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.array([5.0, 0.25]), acceleration=np.array([-0.5, 0.125]))
    points = np.array([[10.0, 2.0, 1.0], [10.0, 2.0, 1.5]], np.float32)
    values = {"ego_history": (ego,), "cameras": random_cameras(480, 270), "lidar": LidarSweep(points=points)}
    return Observation(**(values | changes))


# --- camera ---------------------------------------------------------------------------------------------------------


def test_the_stitched_image_shows_left_front_right_in_the_widths_of_the_crop():
    image = build_camera(flat_cameras(480, 270), InputLayout())
    assert image.shape == (3, 256, 1024) and image.dtype == torch.float32
    row = (image[0, 128] * 255).round().int()
    # A quarter of 1088, 1920 and 1088 pixels.
    assert row.tolist() == [50] * 272 + [100] * 480 + [150] * 272


def test_the_crop_cuts_a_quarter_of_28_rows_and_416_columns_at_270p():
    cameras = random_cameras(480, 270)
    image = (build_camera(cameras, InputLayout()) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.array_equal(image[:, :272], cameras[CameraId.L0].image[7:-7, 104:-104])
    assert np.array_equal(image[:, 272:752], cameras[CameraId.F0].image[7:-7])
    assert np.array_equal(image[:, 752:], cameras[CameraId.R0].image[7:-7, 104:-104])


def test_1080p_is_sampled_bilinearly_without_smoothing():
    cameras = random_cameras(1920, 1080)
    stitched = np.concatenate(
        [
            cameras[CameraId.L0].image[28:-28, 416:-416],
            cameras[CameraId.F0].image[28:-28],
            cameras[CameraId.R0].image[28:-28, 416:-416],
        ],
        axis=1,
    )
    tensor = torch.from_numpy(stitched).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(tensor, size=(256, 1024), mode="bilinear", align_corners=False)[0]
    ours = build_camera(cameras, InputLayout()) * 255
    assert (ours - expected).abs().max() <= 0.5 + 1e-3  # rounding to whole grey levels, as in an image file


def test_smaller_layouts_are_smoothed_so_that_fine_patterns_turn_grey():
    columns = np.where(np.isin(np.arange(480) % 4, (1, 2)), 255, 0).astype(np.uint8)
    stripes = np.broadcast_to(columns[None, :, None], (270, 480, 3)).copy()
    image = build_camera({camera: frame(stripes) for camera in FRONT}, NANO)
    assert image.shape == (3, 64, 256)
    assert image.min() > 0.35 and image.max() < 0.65


@pytest.mark.parametrize("units", [1, 2, 3, 4])
def test_every_size_shows_the_same_part_of_the_world(units):
    image = build_camera(flat_cameras(480 * units, 270 * units), InputLayout())
    boundary = (image[0, 128] * 255).round().int()
    assert boundary[266] == 50 and boundary[278] == 100 and boundary[746] == 100 and boundary[758] == 150


@pytest.mark.parametrize("width, height", [(1600, 900), (1920, 1200), (480, 271), (240, 135), (1080, 1920)])
def test_sizes_that_do_not_fit_name_sizes_that_do(width, height):
    with pytest.raises(InputError, match=r"1920 x 1080"):
        build_camera(flat_cameras(width, height), InputLayout())


def test_a_missing_camera_is_named():
    cameras = random_cameras(480, 270)
    del cameras[CameraId.R0]
    with pytest.raises(InputError, match="r0 is missing"):
        build_inputs(observation(cameras=cameras), InputLayout())
    with pytest.raises(InputError, match="l0, f0, r0 is missing"):
        build_inputs(observation(cameras={}), InputLayout())


def test_a_truncated_image_among_whole_ones_is_named():
    cameras = random_cameras(480, 270)
    cameras[CameraId.F0] = frame(cameras[CameraId.F0].image[:135])
    with pytest.raises(InputError, match="f0 480 x 135"):
        build_inputs(observation(cameras=cameras), InputLayout())


# --- LiDAR ----------------------------------------------------------------------------------------------------------


def counts(points: list[tuple[float, float, float]], layout: InputLayout | None = None) -> np.ndarray:
    layout = layout or InputLayout()
    histogram = build_lidar(LidarSweep(points=np.array(points, np.float32)), layout)
    assert histogram.shape == (1, layout.lidar_pixels, layout.lidar_pixels)
    return (histogram[0] * layout.lidar_max_count).round().int().numpy()


def test_rows_run_from_behind_to_ahead_and_columns_from_right_to_left():
    grid = counts([(10.1, -3.1, 1.0)])
    assert np.argwhere(grid).tolist() == [[int((10.1 + 32) * 4), int((-3.1 + 32) * 4)]]


def test_only_points_between_the_two_heights_count():
    assert counts([(0, 0, 0.2), (0, 0, -3), (0, 0, 100), (0, 0, 150)]).sum() == 0
    assert counts([(0, 0, 0.2001), (0, 0, 99.9)]).sum() == 2


def test_the_outer_edges_belong_to_the_histogram_and_nothing_beyond_does():
    grid = counts([(32, 32, 1), (-32, -32, 1), (32.01, 0, 1), (0, -32.01, 1)])
    assert grid[255, 255] == 1 and grid[0, 0] == 1 and grid.sum() == 2


def test_counts_are_clipped_and_scaled_to_one():
    sweep = LidarSweep(points=np.tile(np.array([[1.1, 1.1, 1.0]], np.float32), (9, 1)))
    histogram = build_lidar(sweep, InputLayout())
    assert histogram.max() == 1.0 and histogram.sum() == 1.0
    assert build_lidar(LidarSweep(points=sweep.points[:2]), InputLayout()).max() == pytest.approx(0.4)


@settings(max_examples=60, deadline=None)
@given(
    points=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(-40, 40, width=32)),
    on_edge=st.lists(st.integers(0, 160), max_size=8),
    layout=st.sampled_from([InputLayout(), NANO, InputLayout(lidar_pixels=96, lidar_range_m=31.7, lidar_max_count=50)]),
)
def test_the_histogram_equals_histogramdd(points, on_edge, layout):
    edges = np.linspace(-layout.lidar_range_m, layout.lidar_range_m, layout.lidar_pixels + 1)
    chosen = edges[np.minimum(np.array(on_edge, int), layout.lidar_pixels)].astype(np.float32)
    xy = np.concatenate([points, np.stack([chosen, -chosen], axis=1), [[np.float32(-1e-30), 0]]]).astype(np.float32)
    expected = np.histogramdd(xy, bins=(edges, edges))[0].clip(max=layout.lidar_max_count)
    sweep = LidarSweep(points=np.column_stack([xy, np.ones(len(xy), np.float32)]))
    ours = build_lidar(sweep, layout)[0].numpy() * layout.lidar_max_count
    assert np.allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("pixels, reach", [(256, 32.0), (96, 25.2), (224, 39.9)])
def test_points_on_every_edge_fall_as_in_histogramdd(pixels, reach):
    layout = InputLayout(lidar_pixels=pixels, lidar_range_m=reach, lidar_max_count=50)
    edges = np.linspace(-reach, reach, pixels + 1)
    # Edges that are whole or half metres exist in float32 too, and are where rounded arithmetic errs.
    halves = np.arange(-2 * int(reach), 2 * int(reach) + 1) / 2
    x = np.concatenate([edges, halves]).astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(-99)), np.nextafter(x, np.float32(99))])
    expected = np.histogramdd(np.column_stack([x, x[::-1]]), bins=(edges, edges))[0].clip(max=50)
    sweep = LidarSweep(points=np.column_stack([x, x[::-1], np.ones_like(x)]))
    assert np.allclose(build_lidar(sweep, layout)[0].numpy() * 50, expected, atol=1e-4)


def test_a_missing_or_empty_sweep_is_an_error_with_a_way_out():
    with pytest.raises(InputError, match="Load the scene with sensors"):
        build_inputs(observation(lidar=None), InputLayout())
    with pytest.raises(InputError, match="no points"):
        build_inputs(observation(lidar=LidarSweep(points=np.zeros((0, 3)))), InputLayout())


def test_nan_never_reaches_the_features():
    with pytest.raises(InputError, match="finite"):
        LidarSweep(points=np.array([[0, np.nan, 1]]))
    with pytest.raises(InputError, match="finite"):
        dataclasses.replace(observation().ego, velocity=np.array([np.nan, 0]))


# --- status and the whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", list(DrivingCommand))
def test_status_is_the_command_then_velocity_then_acceleration(command):
    status = build_status(observation(command=command))
    assert status.dtype == torch.float32
    assert status[:4].tolist() == [float(k == command) for k in range(4)]
    assert status[4:].tolist() == [5.0, 0.25, -0.5, 0.125]


@pytest.mark.parametrize("layout", [InputLayout(), NANO])
def test_inputs_are_one_scene_of_float32_in_range(layout):
    inputs = build_inputs(observation(), layout)
    assert inputs.camera.shape == (1, 3, layout.camera_height, layout.camera_width)
    assert inputs.lidar.shape == (1, 1, layout.lidar_pixels, layout.lidar_pixels)
    assert inputs.status.shape == (1, 8)
    for tensor in (inputs.camera, inputs.lidar):
        assert tensor.dtype == torch.float32 and tensor.min() >= 0 and tensor.max() <= 1


def test_the_input_half_needs_only_torch_and_numpy():
    code = (
        "import sys, diffdrive.features.inputs as f\n"
        "heavy = {'PIL', 'shapely', 'py123d', 'matplotlib', 'sklearn', 'scipy', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
