"""The quick input builders give the numbers of slow, plain ones: all of them, to the last bit."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sensor_scenes import (
    BASE,
    NANO,
    ROUNDED_EDGES,
    WIDE_CELLS,
    edge_points,
    noise_images,
    observe,
    slow_histogram,
    slow_quarter,
    some_points,
)

from diffdrive.features.inputs import build_camera, build_inputs, build_lidar
from diffdrive.features.inputs.cell_grid import CellGrid
from diffdrive.scene import LidarSweep
from diffdrive.tensors import InputLayout

ROWS, COLUMNS = 1080, 1920


def camera_of(images: list[np.ndarray], layout: InputLayout = BASE) -> np.ndarray:
    return build_camera(observe(images, some_points(1)).cameras, layout).numpy()


def extremes(seed: int) -> list[np.ndarray]:
    """Bytes of 0, 1, 254 and 255: every sum near a carry."""
    rng = np.random.default_rng(seed)
    return [rng.choice(np.array([0, 1, 254, 255], np.uint8), (ROWS, COLUMNS, 3)) for _ in range(3)]


@pytest.mark.parametrize(
    "images",
    [
        noise_images(ROWS, COLUMNS),
        extremes(1),
        [np.full((ROWS, COLUMNS, 3), 255, np.uint8)] * 3,
        [np.zeros((ROWS, COLUMNS, 3), np.uint8)] * 3,
    ],
    ids=["noise", "extremes", "white", "black"],
)
def test_every_sampled_pixel_is_the_rounded_mean(images):
    assert np.array_equal(camera_of(images), slow_quarter(images))


def test_every_sum_of_four_bytes_is_rounded_half_up():
    # The four bytes of a sample hold every sum from 0 to 1020, in every channel; their neighbours hold the opposite.
    sums = np.arange(256 * 480).reshape(256, 480) % 1021
    parts = np.stack([(sums + k) // 4 for k in range(4)])
    image = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
    blocks = image[28:-28].reshape(256, 4, 480, 4, 3)
    for part, (row, column) in zip(parts, [(1, 1), (1, 2), (2, 1), (2, 2)], strict=True):
        blocks[:, row, :, column] = part[..., None]
    expected = ((sums + 2) // 4).astype(np.float32) / np.float32(255)
    assert np.array_equal(camera_of([image] * 3)[:, :, 272:752], np.broadcast_to(expected, (3, 256, 480)))


@pytest.mark.parametrize("view", ["channels", "rows", "columns", "window"])
def test_images_that_are_views_of_others_count_as_they_look(view):
    images = noise_images(ROWS, COLUMNS + 7, seed=3) if view == "window" else noise_images(ROWS, COLUMNS, seed=3)
    views = {
        "channels": lambda image: image[..., ::-1],
        "rows": lambda image: image[::-1],
        "columns": lambda image: image[:, ::-1],
        "window": lambda image: image[:, 3:-4],
    }
    seen = [views[view](image) for image in images]
    assert not seen[0].flags.c_contiguous
    assert np.array_equal(camera_of(seen), slow_quarter(seen))
    assert np.array_equal(camera_of(seen, NANO), camera_of([np.ascontiguousarray(image) for image in seen], NANO))


@pytest.mark.parametrize("layout", [BASE, NANO, ROUNDED_EDGES, WIDE_CELLS])
def test_points_on_and_beside_every_edge_and_height_fall_as_in_histogramdd(layout):
    points = edge_points(layout)
    assert np.array_equal(build_lidar(LidarSweep(points=points), layout).numpy(), slow_histogram(points, layout))


@settings(max_examples=40, deadline=None)
@given(
    points=hnp.arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-40, 110, width=32)),
    layout=st.sampled_from([BASE, NANO, ROUNDED_EDGES, WIDE_CELLS]),
)
def test_any_sweep_is_counted_as_by_histogramdd(points, layout):
    assert np.array_equal(build_lidar(LidarSweep(points=points), layout).numpy(), slow_histogram(points, layout))


def test_a_large_sweep_is_counted_as_by_histogramdd():
    points = some_points(100_000)
    for layout in (BASE, NANO, ROUNDED_EDGES):
        assert np.array_equal(build_lidar(LidarSweep(points=points), layout).numpy(), slow_histogram(points, layout))


def test_single_precision_is_used_where_cells_are_a_power_of_two_and_not_above_a_metre():
    assert CellGrid.of(BASE).suits_float32 and CellGrid.of(NANO).suits_float32
    assert not CellGrid.of(ROUNDED_EDGES).suits_float32 and not CellGrid.of(WIDE_CELLS).suits_float32


def test_the_reach_in_single_precision_lets_no_point_in_that_double_precision_keeps_out():
    grid = CellGrid.of(ROUNDED_EDGES)
    nearest = np.float32(31.7)
    assert float(nearest) > 31.7 > grid.reach == float(np.nextafter(nearest, np.float32(0)))


def test_the_observation_is_read_only_and_stays_as_it_was():
    observation = observe(noise_images(ROWS, COLUMNS), some_points(1000))
    images = [frame.image.copy() for frame in observation.cameras.values()]
    points = observation.lidar.points.copy()
    first, second = build_inputs(observation, BASE), build_inputs(observation, BASE)
    assert all(np.array_equal(a, f.image) for a, f in zip(images, observation.cameras.values(), strict=True))
    assert np.array_equal(points, observation.lidar.points)
    # Two calls share no memory: a planner may keep the first.
    first.camera.zero_()
    first.lidar.zero_()
    assert second.camera.max() > 0 and second.lidar.max() > 0


def test_memory_stays_flat_over_many_calls():
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("resident memory is read from /proc")
    observation = observe(noise_images(ROWS, COLUMNS), some_points(100_000))

    def resident_pages() -> int:
        gc.collect()
        return int(statm.read_text().split()[1])

    def repeat(times: int) -> int:
        for _ in range(times):
            build_inputs(observation, BASE)
        return resident_pages()

    before = repeat(30)
    grown = (repeat(150) - before) * 4096
    assert grown < 4 * 2**20, f"{grown / 2**20:.1f} MiB over 150 calls"


def test_the_tensors_are_dense_so_that_engines_can_copy_them_in_one_piece():
    inputs = build_inputs(observe(noise_images(ROWS, COLUMNS), some_points(1000)), BASE)
    for tensor in (inputs.camera, inputs.lidar, inputs.status):
        assert tensor.is_contiguous() and tensor.dtype == torch.float32
