"""Features with and without the cache are the same bits, for the world and for 123D logs, however pictures are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diffdrive.assets import LOGS
from diffdrive.features.inputs import build_inputs
from diffdrive.features.targets import build_targets
from diffdrive.model import planner_config
from diffdrive.scene import CameraFrame, SceneSource
from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache import CacheSpec, FeatureCache, open_or_build
from diffdrive.training.cache.shards import open_samples, read_rows

BASE, NANO = (planner_config(name) for name in ("base", "nano"))


def cache_of(
    source: SceneSource, tokens: tuple[str, ...], inputs: InputLayout, targets: TargetLayout, folder: Path
) -> FeatureCache:
    spec = CacheSpec(inputs=inputs, targets=targets, source=source.name, tokens=tokens)
    return open_or_build(folder, spec, lambda: source)


def assert_equal_features(source: SceneSource, cache: FeatureCache) -> None:
    rows = list(reversed(range(len(cache))))
    batch = cache.batch(rows)
    inputs, targets = batch.inputs(cache.spec.inputs), batch.targets()
    for i, row in enumerate(rows):
        scene = source.load(cache.spec.tokens[row])
        seen, wanted = build_inputs(scene.observation, cache.spec.inputs), build_targets(scene, cache.spec.targets)
        for name in ("camera", "lidar", "status"):
            assert torch.equal(getattr(inputs, name)[i], getattr(seen, name)[0]), name
        for name in ("trajectory", "agent_states", "agent_labels", "bev_semantic"):
            assert torch.equal(getattr(targets, name)[i], getattr(wanted, name)[0]), name
        assert (cache.locations[row], cache.log_names[row]) == (scene.location, scene.log_name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SceneSource:
    pytest.importorskip("embreex")
    pytest.importorskip("py123d")
    from diffdrive.world.source import WorldSource

    return WorldSource(LOGS, cache=tmp_path_factory.mktemp("sensors"), renderer="embree")


def test_the_worlds_own_files_are_kept_where_they_are_smaller(world: SceneSource, tmp_path: Path) -> None:
    tokens = tuple(world.tokens[:2])
    for planner, is_own in ((BASE, True), (NANO, False)):
        cache = cache_of(world, tokens, planner.inputs, planner.targets, tmp_path)
        assert_equal_features(world, cache)
        kept = read_rows(open_samples(cache.folder), np.arange(2))
        frames = [world.load(token).observation.cameras for token in tokens]
        for blobs, cameras in zip(kept, frames, strict=True):
            own = {frame.encoded for frame in cameras.values()}
            assert (set(blobs[:3]) == own) is is_own
            assert all(blobs[1:3]) is is_own
        beside = cache.num_bytes - sum(len(file) for blobs in kept for file in blobs[:3])
        assert beside < 12_000 * len(cache), "LiDAR and map are packed badly"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 123D log with pictures of the smallest size that can be cut."""
    pytest.importorskip("py123d")
    from small_log import EGO_FROM_CAMERA, small_record, town_map

    from diffdrive.log123d.write import write_log
    from diffdrive.log123d.write_map import write_map

    root, rng = tmp_path_factory.mktemp("recorded"), np.random.default_rng(0)
    record = small_record(sensor_frames=range(15, 80, 5))

    def camera() -> CameraFrame:
        coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8).repeat(30, 0).repeat(30, 1)
        intrinsics = np.array([[300.0, 0, 240], [0, 300, 135], [0, 0, 1]])
        return CameraFrame(image=coarse, intrinsics=intrinsics, ego_from_camera=EGO_FROM_CAMERA)

    sensors = {
        frame: replace(seen, cameras={name: camera() for name in seen.cameras}) for frame, seen in record.sensors.items()
    }
    write_map(town_map(), root, dataset="drivetown", location="hand", signalised_lanes={"2"})
    write_log(replace(record, sensors=sensors), root)
    return root


def test_recorded_sensors_of_a_123d_log(recorded: Path, tmp_path: Path) -> None:
    from diffdrive.sources.arrow123d import Arrow123dSource

    source = Arrow123dSource(recorded)
    for planner in (BASE, NANO):
        assert_equal_features(source, cache_of(source, tuple(source.tokens[:3]), planner.inputs, planner.targets, tmp_path))
