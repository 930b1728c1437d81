"""Builds that are killed, that run out of disk, that meet bad scenes or another builder: nothing is lost, nothing is silent."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import multiprocessing
import os
import pickle
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from memory_source import MemorySource

from diffdrive.contracts import InputError
from diffdrive.scene import Scene
from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache import CacheSpec, FeatureCache, PackedBatch, open_or_build, ray_cluster, shards, work

INPUTS = InputLayout(camera_height=32, camera_width=128, lidar_pixels=32)
TARGETS = TargetLayout(bev_rows=16, bev_columns=32, bev_pixel_m=2.0, num_agents=6)


def spec_of(num_scenes: int) -> CacheSpec:
    return CacheSpec(inputs=INPUTS, targets=TARGETS, source="memory", tokens=MemorySource(num_scenes).tokens)


def same(one: FeatureCache, other: FeatureCache, rows: list[int]) -> bool:
    left, right = one.batch(rows), other.batch(rows)
    return all(torch.equal(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(PackedBatch))


@pytest.fixture
def short_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scenes a file; in this process only."""
    for module in (work, shards):
        monkeypatch.setattr(module, "SHARD_SCENES", 2)
    for name in ("feature_cache", "shard_reader"):
        monkeypatch.setattr(f"diffdrive.training.cache.{name}.SHARD_SCENES", 2)
    monkeypatch.setattr("diffdrive.training.cache.shard_reader._INDEX", 16 * 2 + 4)
    monkeypatch.setattr("diffdrive.training.cache.builder.MEASURED_SCENES", 1)


class DeadlySource(MemorySource):
    """The machine kills whoever reads the third scene of the second file."""

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        if token == "scene-066":
            os._exit(9)
        return super().load(token, sensors=sensors)


def build_and_die(folder: Path) -> None:
    open_or_build(folder, spec_of(70), partial(DeadlySource, 70))


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=build_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    partial_folder = spec_of(70).folder(tmp_path).with_name(spec_of(70).folder(tmp_path).name + ".partial")
    # What a write that was cut off could leave, and a file whose bytes never reached the disk.
    (partial_folder / "samples" / "c" / "1").mkdir()
    (partial_folder / "samples" / "c" / "1" / "0").write_bytes(b"half a file")
    source = MemorySource(70)
    cache = open_or_build(tmp_path, spec_of(70), lambda: source)
    assert source.loads == 6, "the finished file was built again"
    assert same(cache, open_or_build(tmp_path / "whole", spec_of(70), partial(MemorySource, 70)), [0, 63, 64, 69])


def test_a_killed_worker_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was killed"):
        open_or_build(tmp_path, spec_of(70), partial(DeadlySource, 70), workers=2)
    assert len(open_or_build(tmp_path, spec_of(70), partial(MemorySource, 70))) == 70


@pytest.mark.usefixtures("short_shards")
@pytest.mark.parametrize("where", ["samples", "note", "index"])
def test_a_full_disk_corrupts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    targets = {"samples": "write_shard", "note": "np.savez"}
    with monkeypatch.context() as patch:
        if where == "index":
            patch.setattr("diffdrive.training.cache.index.CacheIndex.write", full)
        else:
            real, calls = shards.write_shard if where == "samples" else work.np.savez, iter(range(100))
            patch.setattr(
                f"diffdrive.training.cache.work.{targets[where]}", lambda *a, **k: (full if next(calls) == 2 else real)(*a, **k)
            )
        with pytest.raises(InputError, match=r"disk of .* is full.*start again"):
            open_or_build(tmp_path, spec_of(8), partial(MemorySource, 8))
    assert not spec_of(8).folder(tmp_path).exists()
    source = MemorySource(8)
    cache = open_or_build(tmp_path, spec_of(8), lambda: source)
    assert source.loads == (0 if where == "index" else 4)
    assert same(cache, open_or_build(tmp_path / "whole", spec_of(8), partial(MemorySource, 8)), list(range(8)))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_zarr_leaves_nothing_behind_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.create_samples(tmp_path, 3)
    samples = shards.open_samples(tmp_path, writable=True)
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: real(Path("/dev/full") if path.suffix == ".partial" else path, *a, **k)
    )
    with pytest.raises(OSError, match="No space left"):
        shards.write_shard(samples, tmp_path, 0, [(b"a" * 9999, b"", b"", b"b")] * 3)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "zarr.json"]


def test_bad_scenes_are_skipped_only_on_request_and_never_silently(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = MemorySource(6, broken=("scene-000", "scene-003"))
    with pytest.raises(InputError, match=r"scene-000.*image is damaged"):
        open_or_build(tmp_path, spec_of(6), lambda: bad)
    with caplog.at_level(logging.WARNING):
        cache = open_or_build(tmp_path, spec_of(6), lambda: bad, skip_bad=True)
    assert "scene-003" in caplog.text and "lacks 2 of 6" in caplog.text
    assert cache.skipped == {"scene-000": "its image is damaged.", "scene-003": "its image is damaged."}
    assert json.loads((cache.folder / "index.json").read_text())["skipped"] == cache.skipped
    assert cache.spec.tokens == ("scene-001", "scene-002", "scene-004", "scene-005")
    assert len(cache) == len(cache.locations) == len(cache.log_names) == len(cache.column("status")) == 4
    whole = open_or_build(tmp_path / "whole", spec_of(6), partial(MemorySource, 6))
    assert torch.equal(cache.batch([3, 0]).camera, whole.batch([5, 1]).camera)
    assert (cache.column("trajectory")[2] == whole.column("trajectory")[4]).all()
    cache.expect(spec_of(6))
    with pytest.raises(InputError, match=r"lacks 2 of 6 scenes.*scene-000.*on_bad_scene"):
        open_or_build(tmp_path, spec_of(6), partial(MemorySource, 6))


def test_no_scene_at_all_can_be_read(tmp_path: Path) -> None:
    source = MemorySource(2, broken=("scene-000", "scene-001"))
    with pytest.raises(InputError, match="None of 2 scenes"):
        open_or_build(tmp_path, spec_of(2), lambda: source, skip_bad=True)


class SlowSource(MemorySource):
    def load(self, token: str, *, sensors: bool = True) -> Scene:
        time.sleep(0.05)
        return super().load(token, sensors=sensors)


def test_of_two_builders_one_waits(tmp_path: Path) -> None:
    sources = [SlowSource(6), SlowSource(6)]
    found: list[FeatureCache] = []

    def build(source: MemorySource) -> None:
        found.append(open_or_build(tmp_path, spec_of(6), lambda: source))

    threads = [threading.Thread(target=build, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(source.loads for source in sources) == [0, 6]
    assert same(*found, [0, 5])


def test_the_size_is_told_before_anything_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = MemorySource(6)
    told: list[int] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "needs about" in record.getMessage():
                told.append(len(list(tmp_path.rglob("c/*"))))

    logging.getLogger("diffdrive.training.cache.builder").addHandler(listener := Listener())
    with caplog.at_level(logging.INFO):
        cache = open_or_build(tmp_path, spec_of(6), lambda: source)
    logging.getLogger("diffdrive.training.cache.builder").removeHandler(listener)
    assert told == [0]
    (line,) = (line for line in caplog.messages if "needs about" in line)
    announced = float(line.split("about ")[1].split(" MB")[0])
    assert announced == pytest.approx(cache.num_bytes / 1e6, rel=0.1, abs=0.06)
    assert source.loads == 6, "measured scenes were built twice"


def read_in_child(cache: FeatureCache, pipe: Any) -> None:
    pipe.send(cache.batch([4, 1]).camera.sum().item())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_travels_to_other_processes(tmp_path: Path, method: str) -> None:
    cache = open_or_build(tmp_path, spec_of(6), partial(MemorySource, 6))
    expected = cache.batch([4, 1]).camera.sum().item()
    assert len(pickle.dumps(cache)) < 20_000
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=read_in_child, args=(cache, theirs))
    process.start()
    assert ours.poll(60), "the child hangs"
    assert ours.recv() == expected
    process.join()


@pytest.mark.slow
def test_ray_builds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # for what MemorySource is
    try:
        # One Ray for both builds: starting it takes the most time.
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    except Exception as error:  # Ray gives its own services 30 s, which a busy machine may not have
        pytest.skip(f"Ray does not start: {error}")
    try:
        far = open_or_build(tmp_path / "ray", spec_of(70), partial(MemorySource, 70), crew=ray_cluster(workers=1))
        broken = partial(MemorySource, 70, ("scene-066",))
        with pytest.raises(InputError, match=r"scene-066.*damaged"):
            open_or_build(tmp_path / "broken", spec_of(70), broken, crew=ray_cluster(workers=1))
    finally:
        ray.shutdown()
    near = open_or_build(tmp_path / "near", spec_of(70), partial(MemorySource, 70))
    assert far.num_bytes == near.num_bytes
    assert same(far, near, [69, 0, 64])
