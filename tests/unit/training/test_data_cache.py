"""The feature cache: what goes in comes out, and what does not fit is refused."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from memory_source import MemorySource, make_scene, open_memory_source

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs
from diffdrive.features.targets import build_targets
from diffdrive.scene import CameraId
from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache import CacheSpec, FeatureCache, PackedBatch, open_or_build

INPUTS = InputLayout(camera_height=32, camera_width=128, lidar_pixels=32)
TARGETS = TargetLayout(bev_rows=16, bev_columns=32, bev_pixel_m=2.0, num_agents=6)


def spec_of(source: MemorySource) -> CacheSpec:
    return CacheSpec(inputs=INPUTS, targets=TARGETS, source=source.name, tokens=tuple(source.tokens))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    source = MemorySource(6)
    return open_or_build(tmp_path_factory.mktemp("cache"), spec_of(source), lambda: source)


def test_a_batch_equals_the_features_it_was_built_from(built: FeatureCache) -> None:
    rows = [4, 0, 3]
    batch = built.batch(rows)
    inputs, targets = batch.inputs(INPUTS), batch.targets()
    for i, row in enumerate(rows):
        scene = make_scene(row)
        expected = build_inputs(scene.observation, INPUTS)
        for name in ("camera", "lidar", "status"):
            assert torch.equal(getattr(inputs, name)[i], getattr(expected, name)[0]), name
        wanted = build_targets(scene, TARGETS)
        for name in ("trajectory", "agent_states", "agent_labels", "bev_semantic"):
            assert torch.equal(getattr(targets, name)[i], getattr(wanted, name)[0]), name


def test_the_rig_says_where_the_pictures_were_taken(built: FeatureCache) -> None:
    rig, cameras = built.batch([2]).rig[0], make_scene(2).observation.cameras
    for row, name in zip(rig, (CameraId.L0, CameraId.F0, CameraId.R0), strict=True):
        assert row[:6].tolist() == [300, 310, 238, 137, 480, 270]
        np.testing.assert_allclose(row[6:15].reshape(3, 3), cameras[name].ego_from_camera[:3, :3], rtol=1e-6)
        np.testing.assert_allclose(row[15:], cameras[name].ego_from_camera[:3, 3], rtol=1e-6)


def test_places_follow_the_rows(built: FeatureCache) -> None:
    assert built.locations == tuple(f"town-{i % 4}" for i in range(6))
    assert built.log_names == ("memory",) * 6


def test_an_existing_cache_is_opened_not_built(built: FeatureCache) -> None:
    source = MemorySource(6)
    again = open_or_build(built.folder.parent, spec_of(source), lambda: source)
    assert source.loads == 0
    assert again.spec == built.spec


def test_a_broken_scene_is_named_and_the_build_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffdrive.training.cache.builder.MEASURED_SCENES", 1)
    monkeypatch.setattr("diffdrive.training.cache.work.SHARD_SCENES", 2)
    monkeypatch.setattr("diffdrive.training.cache.shards.SHARD_SCENES", 2)
    bad = MemorySource(6, broken=("scene-004",))
    with pytest.raises(InputError, match=r"scene-004.*damaged"):
        open_or_build(tmp_path, spec_of(bad), lambda: bad)
    assert not spec_of(bad).folder(tmp_path).exists()
    good = MemorySource(6)
    cache = open_or_build(tmp_path, spec_of(good), lambda: good)
    assert good.loads == 2, "finished files were built again"
    assert not list(tmp_path.glob("*.partial"))
    assert cache.column("trajectory").any(axis=(1, 2)).all()


@pytest.mark.parametrize("change", ["key", "not json", "short", "lacks an entry", "file cut short", "file missing"])
def test_a_damaged_cache_is_refused(tmp_path: Path, change: str) -> None:
    source = MemorySource(3)
    folder = open_or_build(tmp_path, spec_of(source), lambda: source).folder
    index, samples = json.loads((folder / "index.json").read_text()), folder / "samples" / "c" / "0" / "0"
    damaged = {
        "key": json.dumps({**index, "key": "0" * 64}),
        "short": json.dumps({**index, "locations": index["locations"][:-1]}),
        "lacks an entry": json.dumps({name: value for name, value in index.items() if name != "skipped"}),
        "not json": "{",
    }
    if change in damaged:
        (folder / "index.json").write_text(damaged[change])
    elif change == "file missing":
        samples.unlink()
    else:
        samples.write_bytes(samples.read_bytes()[:-7])
    with pytest.raises(InputError, match="Delete the folder"):
        open_or_build(tmp_path, spec_of(source), lambda: source)


@pytest.mark.parametrize("change", ["bit", "cut", "missing"])
def test_a_damaged_sample_is_named_with_its_file(tmp_path: Path, change: str) -> None:
    source = MemorySource(5)
    cache = open_or_build(tmp_path, spec_of(source), lambda: source)
    file = cache.folder / "samples" / "c" / "0" / "0"
    content = bytearray(file.read_bytes())
    if change == "missing":
        file.unlink()
    elif change == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1  # in the third of five samples
        file.write_bytes(content)
        assert len(FeatureCache(cache.folder).batch([0, 1, 3, 4])) == 4
    with pytest.raises(InputError, match=rf"Scene 'scene-002' cannot be read: '{file}' is damaged"):
        FeatureCache(cache.folder).batch([2, 4])


def test_a_damaged_column_is_refused(tmp_path: Path) -> None:
    source = MemorySource(3)
    cache = open_or_build(tmp_path, spec_of(source), lambda: source)
    chunk = cache.folder / "status" / "c" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[9] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        cache.column("status")
    with pytest.raises(InputError, match="whole columns"):
        cache.column("lidar")


def test_another_layout_is_another_cache(built: FeatureCache) -> None:
    other = CacheSpec(
        inputs=InputLayout(camera_height=64, camera_width=256, lidar_pixels=32),
        targets=TARGETS,
        source="memory",
        tokens=built.spec.tokens,
    )
    assert other.folder(Path("x")) != built.spec.folder(Path("x"))
    with pytest.raises(InputError, match="inputs"):
        built.expect(other)


def test_not_a_cache(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--cache-only"):
        FeatureCache(tmp_path)


def test_too_large_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    source = MemorySource(2)
    with pytest.raises(InputError, match="GB free"):
        open_or_build(tmp_path, spec_of(source), lambda: source)


def test_two_processes_build_the_same_arrays(tmp_path: Path) -> None:
    source = open_memory_source()
    two = open_or_build(tmp_path / "two", spec_of(source), open_memory_source, workers=2)
    one = open_or_build(tmp_path / "one", spec_of(source), partial(MemorySource, 70))
    assert two.locations == one.locations
    rows = [69, 3, 3, 64]
    for field in dataclasses.fields(PackedBatch):
        assert torch.equal(getattr(one.batch(rows), field.name), getattr(two.batch(rows), field.name)), field.name
