"""How the cache keeps pictures: as they are, as the cameras' own files, or with a loss that is stated."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from memory_source import MemorySource, make_scene
from PIL import Image

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_camera
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.cache.images import read, store

AS_CUT = InputLayout(lidar_pixels=32)
"""256 rows: what is left of 270."""

SMALL = InputLayout(camera_height=32, camera_width=128, lidar_pixels=32)
TARGETS = TargetLayout(bev_rows=16, bev_columns=32, bev_pixel_m=2.0, num_agents=6)


def from_files(cameras: dict[CameraId, CameraFrame], kind: str) -> dict[CameraId, CameraFrame]:
    """The same cameras, their images read from files."""
    found = {}
    for name, frame in cameras.items():
        content = io.BytesIO()
        Image.fromarray(frame.image).save(content, kind)
        image = np.asarray(Image.open(io.BytesIO(content.getvalue())))
        found[name] = replace(frame, image=image, encoded=content.getvalue())
    return found


def picture_of(cameras: dict[CameraId, CameraFrame], layout: InputLayout) -> np.ndarray:
    return (build_camera(cameras, layout).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def jpegs() -> dict[CameraId, CameraFrame]:
    return from_files(dict(make_scene(0).observation.cameras), "JPEG")


def test_own_files_are_kept_as_they_are(jpegs: dict[CameraId, CameraFrame]) -> None:
    picture = picture_of(jpegs, AS_CUT)
    stored = store(picture, jpegs, AS_CUT, None)
    assert stored.files == tuple(jpegs[name].encoded for name in (CameraId.L0, CameraId.F0, CameraId.R0))
    np.testing.assert_array_equal(read(stored.files, AS_CUT), picture)
    assert (stored.max_error, stored.mean_error) == (0, 0.0)


def test_own_files_are_not_kept_where_they_are_larger(jpegs: dict[CameraId, CameraFrame]) -> None:
    lossless = from_files(dict(jpegs), "BMP")
    for cameras, layout in ((lossless, AS_CUT), (jpegs, SMALL)):
        picture = picture_of(cameras, layout)
        stored = store(picture, cameras, layout, None)
        assert stored.files[1:] == (b"", b"")
        np.testing.assert_array_equal(read(stored.files, layout), picture)


def test_own_files_are_not_kept_of_an_image_that_was_painted_over(jpegs: dict[CameraId, CameraFrame]) -> None:
    cameras = jpegs | {CameraId.F0: replace(jpegs[CameraId.F0], image=255 - jpegs[CameraId.F0].image)}
    picture = picture_of(cameras, AS_CUT)
    np.testing.assert_array_equal(read(store(picture, cameras, AS_CUT, None).files, AS_CUT), picture)


def cache_with(quality: int | None, folder: Path) -> FeatureCache:
    source = MemorySource(3)
    spec = CacheSpec(inputs=SMALL, targets=TARGETS, source="memory", tokens=source.tokens, image_quality=quality)
    return open_or_build(folder, spec, lambda: source)


def test_a_quality_makes_it_smaller_and_states_the_error(tmp_path: Path) -> None:
    exact, good, poor = (cache_with(quality, tmp_path) for quality in (None, 95, 30))
    assert exact.num_bytes > good.num_bytes > poor.num_bytes
    assert (exact.image_error.max, exact.image_error.mean) == (0, 0.0)
    wanted = exact.batch([0, 1, 2]).camera.numpy().astype(int)
    for cache in (good, poor):
        error = np.abs(cache.batch([0, 1, 2]).camera.numpy() - wanted)
        assert cache.image_error.max == error.max() > 0
        assert cache.image_error.mean == pytest.approx(error.mean(), rel=1e-9)
        for name in ("lidar", "trajectory", "bev_semantic"):
            np.testing.assert_array_equal(getattr(cache.batch([1]), name), getattr(exact.batch([1]), name))
    with pytest.raises(InputError, match="image_quality"):
        good.expect(exact.spec)
    with pytest.raises(InputError, match="from 1 to 100"):
        cache_with(0, tmp_path)


@pytest.mark.parametrize("content", [b"no picture", b""])
def test_bytes_that_are_no_picture(content: bytes) -> None:
    with pytest.raises(ValueError, match="decoded"):
        read((content, b"", b""), SMALL)


def test_a_picture_of_another_size() -> None:
    stored = store(np.zeros((64, 256, 3), np.uint8), make_scene(0).observation.cameras, SMALL, None)
    with pytest.raises(ValueError, match="shape"):
        read(stored.files, SMALL)
