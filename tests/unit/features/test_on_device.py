"""The preprocessor for devices gives what the CPU path gives, without anything that a graph or an export cannot hold."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sensor_scenes import BASE, NANO, ROUNDED_EDGES, WIDE_CELLS, edge_points, noise_images, observe, some_points
from torch.utils._python_dispatch import TorchDispatchMode

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs, build_lidar, pack_sensors
from diffdrive.features.inputs.cell_grid import CellGrid
from diffdrive.features.inputs.on_device import LidarHistogram, SensorPreprocessor
from diffdrive.scene import LidarSweep
from diffdrive.tensors import InputLayout, collate

FULL, QUARTER = (1080, 1920), (270, 480)
STEP = 1 / 255 + 1e-6


def scene(size: tuple[int, int], count: int = 20_000, seed: int = 0):
    return observe(noise_images(*size, seed=seed), some_points(count, seed))


def count(points: np.ndarray, layout: InputLayout) -> torch.Tensor:
    return LidarHistogram(CellGrid.of(layout))(torch.from_numpy(points)[None])[0]


class Watch(TorchDispatchMode):
    """Every operation, and the most numbers that any tensor of more than a byte per number held."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.names.add(func.overloadpacket.__name__)
        if isinstance(out, torch.Tensor) and out.dtype.itemsize > 1:
            self.largest = max(self.largest, out.numel())
        return out


# --- the CPU path's numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [FULL, QUARTER], ids=["1080p", "270p"])
@pytest.mark.parametrize("layout", [BASE, NANO], ids=["base", "nano"])
def test_it_gives_what_the_cpu_path_gives(size, layout):
    observation = scene(size)
    sensors = pack_sensors(observation, size, 25_000)
    camera, lidar = SensorPreprocessor(layout, size)(sensors.images, sensors.points)
    expected = build_inputs(observation, layout)
    assert torch.equal(lidar, expected.lidar)
    assert camera.shape == expected.camera.shape and camera.dtype == torch.float32
    if layout is BASE:
        assert torch.equal(camera, expected.camera)  # sampled at 1080p, not resized at all at 270p
    else:
        difference = (camera - expected.camera).abs()
        assert difference.max() <= STEP and (difference > 0.5 / 255).float().mean() < 0.001


@pytest.mark.parametrize("height", [32, 96, 192, 224, 288], ids="to {}".format)
@pytest.mark.parametrize("pattern", ["noise", "columns"])
def test_any_change_of_size_is_within_a_grey_level(height, pattern):
    layout = InputLayout(camera_height=height, camera_width=4 * height)
    images = noise_images(*QUARTER)
    if pattern == "columns":  # one rounding error would repeat in every row
        images = [np.ascontiguousarray(np.broadcast_to(image[:1], image.shape)) for image in images]
    observation = observe(images, some_points(1))
    camera, _ = SensorPreprocessor(layout, QUARTER)(*_tensors(observation, QUARTER))
    assert (camera - build_inputs(observation, layout).camera).abs().max() <= STEP


def test_a_batch_is_its_scenes_one_by_one():
    scenes = [scene(FULL, seed=1), scene(FULL, seed=2, count=123)]
    sensors = collate([pack_sensors(each, FULL, 20_000) for each in scenes])
    camera, lidar = SensorPreprocessor(BASE, FULL)(sensors.images, sensors.points)
    for row, each in enumerate(scenes):
        expected = build_inputs(each, BASE)
        assert torch.equal(camera[row], expected.camera[0])
        assert torch.equal(lidar[row], expected.lidar[0])


@pytest.mark.parametrize("layout", [BASE, NANO, ROUNDED_EDGES, WIDE_CELLS])
def test_points_on_and_beside_every_edge_and_height_count_as_on_the_cpu(layout):
    points = edge_points(layout)
    assert torch.equal(count(points, layout), build_lidar(LidarSweep(points=points), layout))


@settings(max_examples=40, deadline=None)
@given(
    points=hnp.arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-40, 110, width=32)),
    layout=st.sampled_from([BASE, NANO, ROUNDED_EDGES, WIDE_CELLS]),
)
def test_any_sweep_counts_as_on_the_cpu(points, layout):
    assert torch.equal(count(points, layout), build_lidar(LidarSweep(points=points), layout))


@pytest.mark.parametrize("layout", [BASE, ROUNDED_EDGES])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_points_that_are_not_finite_count_for_nothing(layout, bad, axis):
    points = some_points(500)
    broken = points[:100].copy()
    broken[:, 2] = 1.0
    broken[:, axis] = bad
    expected = build_lidar(LidarSweep(points=points), layout)
    assert torch.equal(count(np.concatenate([broken, points, broken]), layout), expected)


def test_padding_counts_for_nothing_wherever_it_lies():
    points = some_points(500)
    padding = np.concatenate([np.zeros((9, 3)), points[:9]]).astype(np.float32)
    padding[:, 2] = -np.inf
    assert torch.equal(count(np.concatenate([points, padding]), BASE), build_lidar(LidarSweep(points=points), BASE))
    assert count(padding, BASE).max() == 0


def test_counts_are_clipped():
    same = np.tile(np.float32([[1.1, 1.1, 1.0]]), (9, 1))
    assert count(same, BASE).max() == 1.0 and count(same[:2], BASE).max() == np.float32(0.4)


# --- what a graph can hold ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [BASE, NANO, ROUNDED_EDGES])
def test_it_can_be_exported_and_gives_the_same(layout):
    model = SensorPreprocessor(layout, QUARTER)
    exported = torch.export.export(model, _tensors(scene(QUARTER, seed=1), QUARTER)).module()
    other = _tensors(scene(QUARTER, seed=2), QUARTER)
    for ours, theirs in zip(model(*other), exported(*other), strict=True):
        assert torch.equal(ours, theirs)


def test_it_is_one_graph_for_the_compiler():
    model, tensors = SensorPreprocessor(BASE, FULL), _tensors(scene(FULL), FULL)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for ours, theirs in zip(model(*tensors), compiled(*tensors), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("layout", [BASE, NANO, ROUNDED_EDGES])
def test_nothing_in_it_waits_for_a_value_or_has_a_shape_that_depends_on_one(layout):
    model, tensors = SensorPreprocessor(layout, QUARTER), _tensors(scene(QUARTER), QUARTER)
    with Watch() as watch:
        model(*tensors)
    assert "scatter_add" in watch.names
    assert not watch.names & {"_local_scalar_dense", "item", "nonzero", "masked_select", "bincount", "unique", "histc"}


def test_at_full_size_no_more_pixels_are_widened_than_the_network_sees():
    model = SensorPreprocessor(BASE, FULL)
    images = pack_sensors(scene(FULL), FULL, 20_000).images
    with Watch() as watch:
        camera = model.camera(images)
    assert watch.largest == camera.numel()


def test_it_can_be_copied_and_asks_for_no_gradient():
    model, tensors = SensorPreprocessor(NANO, QUARTER), _tensors(scene(QUARTER), QUARTER)
    for ours, theirs in zip(model(*tensors), copy.deepcopy(model)(*tensors), strict=True):
        assert torch.equal(ours, theirs) and not ours.requires_grad
    assert not list(model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", [BASE, NANO, ROUNDED_EDGES])
def test_a_recorded_graph_on_a_gpu_gives_what_the_cpu_path_gives(layout):
    model, scenes = SensorPreprocessor(layout, FULL).cuda(), [scene(FULL, seed=k) for k in range(3)]
    images, points = (tensor.cuda() for tensor in _tensors(scenes[0], FULL))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        model(images, points)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        camera, lidar = model(images, points)
    for each in scenes:
        for buffer, tensor in zip((images, points), _tensors(each, FULL), strict=True):
            buffer.copy_(tensor)
        graph.replay()
        expected = build_inputs(each, layout)
        assert torch.equal(lidar.cpu(), expected.lidar)
        assert (camera.cpu() - expected.camera).abs().max() <= (0.0 if layout is BASE else STEP)


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_other_sizes_and_types_are_refused_with_what_it_takes():
    model = SensorPreprocessor(NANO, QUARTER)
    images, points = _tensors(scene(QUARTER), QUARTER)
    with pytest.raises(InputError, match=r"uint8 of shape \[B, 3, 270, 480, 3\].*\[1, 3, 135, 480, 3\]"):
        model(images[:, :, :135], points)
    with pytest.raises(InputError, match=r"torch.float32"):
        model(images.float(), points)
    with pytest.raises(InputError, match=r"float32 of shape \[B, N, 3\].*torch.float64"):
        model(images, points.double())
    with pytest.raises(InputError, match=r"\[1, 25000, 2\]"):
        model(images, points[..., :2])
    with pytest.raises(InputError, match="1600 x 900 cannot be cropped"):
        SensorPreprocessor(NANO, (900, 1600))


def _tensors(observation, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    sensors = pack_sensors(observation, size, 25_000)
    return sensors.images, sensors.points
