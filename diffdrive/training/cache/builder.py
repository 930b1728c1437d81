"""Build a feature cache with several processes; interrupted builds continue where they stopped.

Rows are written into ``<folder>.partial`` in chunks. A chunk counts once its own small file lies in ``done/``, and the folder
gets its final name only when every chunk is there, so a cache that can be opened is complete.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.scene import SceneSource
from diffdrive.training.cache.feature_cache import INDEX, FeatureCache
from diffdrive.training.cache.packed import pack
from diffdrive.training.cache.spec import CacheSpec

logger = logging.getLogger(__name__)

CHUNK_SCENES = 32
OpenSource = Callable[[], SceneSource]


def open_or_build(
    parent: Path,
    spec: CacheSpec,
    open_source: OpenSource,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureCache:
    """The cache of ``spec`` below ``parent``; built first when it is not there.

    ``open_source`` is called once in every worker process and must be picklable when ``workers`` > 1. ``progress`` is told
    (scenes done, scenes in all). Raises ``InputError`` for a damaged cache, a full disk and scenes that cannot be turned into
    features.
    """
    folder = spec.folder(parent)
    if not folder.exists():
        _build(folder, spec, open_source, workers, progress or (lambda done, total: None))
    cache = FeatureCache(folder)
    cache.expect(spec)
    return cache


def _build(folder: Path, spec: CacheSpec, open_source: OpenSource, workers: int, progress: Callable[[int, int], None]) -> None:
    if not spec.tokens:
        raise InputError(f"Source '{spec.source}' has no scenes to build features from.")
    partial = folder.with_name(folder.name + ".partial")
    (partial / "done").mkdir(parents=True, exist_ok=True)
    _reserve(partial, spec)
    missing = [chunk for chunk in _chunks(len(spec.tokens)) if not _marker(partial, chunk).is_file()]
    done = len(spec.tokens) - sum(len(chunk) for chunk in missing)
    logger.info("building %d of %d scenes in '%s' with %d workers", len(spec.tokens) - done, len(spec.tokens), partial, workers)
    for count in _run(partial, spec, missing, open_source, workers):
        done += count
        progress(done, len(spec.tokens))
    _finish(partial, folder, spec)


def _reserve(partial: Path, spec: CacheSpec) -> None:
    """Create the full-size columns that are not there yet, after saying how large they are."""
    absent = {name: column for name, column in spec.columns.items() if not (partial / f"{name}.npy").is_file()}
    if not absent:
        return
    free = shutil.disk_usage(partial).free
    logger.info("feature cache needs %.1f MB (%.1f MB are free)", spec.num_bytes / 1e6, free / 1e6)
    if spec.num_bytes > 0.95 * free:
        raise InputError(
            f"The feature cache needs {spec.num_bytes / 1e9:.1f} GB but '{partial.parent}' has {free / 1e9:.1f} GB free. "
            "Set data.cache to a larger disk, or lower data.max_scenes."
        )
    for name, (shape, dtype) in absent.items():
        beside = partial / f"{name}.npy.tmp"
        np.lib.format.open_memmap(beside, mode="w+", dtype=dtype, shape=(len(spec.tokens), *shape)).flush()
        beside.replace(partial / f"{name}.npy")


def _chunks(num_scenes: int) -> list[range]:
    return [range(start, min(start + CHUNK_SCENES, num_scenes)) for start in range(0, num_scenes, CHUNK_SCENES)]


def _marker(partial: Path, chunk: range) -> Path:
    return partial / "done" / f"{chunk.start:08d}.json"


def _run(partial: Path, spec: CacheSpec, chunks: list[range], open_source: OpenSource, workers: int) -> Iterator[int]:
    if workers <= 1 or len(chunks) <= 1:
        worker = _Worker(partial, spec, open_source)
        for chunk in chunks:
            yield worker.build(chunk)
        return
    # Forked children would share the parent's OpenGL and thread state; fresh ones do not.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(partial, spec, open_source)) as pool:
        futures = [pool.submit(_build_in_worker, chunk) for chunk in chunks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_worker: _Worker | None = None  # one per worker process


def _start_worker(partial: Path, spec: CacheSpec, open_source: OpenSource) -> None:
    global _worker
    torch.set_num_threads(1)
    _worker = _Worker(partial, spec, open_source)


def _build_in_worker(chunk: range) -> int:
    if _worker is None:
        raise RuntimeError("The worker process was not started by _start_worker.")
    return _worker.build(chunk)


class _Worker:
    def __init__(self, partial: Path, spec: CacheSpec, open_source: OpenSource) -> None:
        self.partial, self.spec, self.source = partial, spec, open_source()
        self.columns = {name: np.load(partial / f"{name}.npy", mmap_mode="r+") for name in spec.columns}

    def build(self, chunk: range) -> int:
        places = [self._write_row(row) for row in chunk]
        for column in self.columns.values():
            column.flush()
        marker = _marker(self.partial, chunk)
        beside = marker.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(places))
        beside.replace(marker)
        return len(chunk)

    def _write_row(self, row: int) -> tuple[str, str]:
        token = self.spec.tokens[row]
        try:
            scene = self.source.load(token)
            packed = pack(scene, self.spec.inputs, self.spec.targets)
        except InputError as error:
            raise InputError(f"Scene '{token}' of source '{self.spec.source}' cannot become features: {error}") from error
        for field in dataclasses.fields(packed):
            self.columns[field.name][row] = getattr(packed, field.name)[0].numpy()
        return scene.location, scene.log_name


def _finish(partial: Path, folder: Path, spec: CacheSpec) -> None:
    places = [place for chunk in _chunks(len(spec.tokens)) for place in json.loads(_marker(partial, chunk).read_text())]
    index = {
        "key": spec.key,
        "inputs": to_mapping(spec.inputs),
        "targets": to_mapping(spec.targets),
        "source": spec.source,
        "tokens": list(spec.tokens),
        "locations": [location for location, _ in places],
        "log_names": [log_name for _, log_name in places],
    }
    (partial / INDEX).write_text(json.dumps(index))
    partial.replace(folder)
    shutil.rmtree(folder / "done")
