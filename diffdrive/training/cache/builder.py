"""Build a feature cache; interrupted builds continue where they stopped.

Samples are written into ``<folder>.partial``, a file at a time. A file counts once its note lies in ``done/``, and the folder
gets its final name only when every file is there, so a cache that can be opened is complete.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.training.cache.crews import Crew, Work, alone, processes
from diffdrive.training.cache.feature_cache import FeatureCache
from diffdrive.training.cache.index import CacheIndex, ImageError
from diffdrive.training.cache.shards import create_samples, write_column
from diffdrive.training.cache.spec import CacheSpec
from diffdrive.training.cache.work import BuildJob, FinishedShard, OpenSource, Task, shards_of

logger = logging.getLogger(__name__)

MEASURED_SCENES = 4
"""From which the size is estimated before anything is written; spread over the scenes that are missing."""

Progress = Callable[[int, int], None]


def open_or_build(
    parent: Path,
    spec: CacheSpec,
    open_source: OpenSource,
    *,
    workers: int = 1,
    crew: Crew | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> FeatureCache:
    """The cache of ``spec`` below ``parent``; built first when it is not there, by ``workers`` processes or by ``crew``.

    ``open_source`` is called once in every worker and must be picklable unless this process works alone. ``progress`` is told
    (scenes done, scenes in all). Of several processes that ask for the same cache one builds and the others wait for it.

    Raises ``InputError`` for a damaged cache, a full disk, and scenes that cannot be turned into features; with ``skip_bad``
    these are left out, and the cache names them.
    """
    folder = spec.folder(parent)
    job = BuildJob(folder=folder.with_name(folder.name + ".partial"), spec=spec, open_source=open_source, skip_bad=skip_bad)
    if not folder.exists():
        with _disk_may_be_full(parent), _only_builder(folder):
            if not folder.exists():  # still, after waiting
                _build(folder, job, crew or (processes(workers) if workers > 1 else alone), progress or _nobody)
    cache = FeatureCache(folder)
    cache.expect(spec)
    if not skip_bad:
        cache.check_files()
        _refuse_skipped(cache)
    elif cache.skipped:
        logger.warning("feature cache '%s' lacks %d of %d scenes", folder, len(cache.skipped), len(spec.tokens))
    return cache


def estimated_bytes(spec: CacheSpec, open_source: OpenSource) -> int:
    """About how large the cache of ``spec`` will be, from a few of its scenes; no features are written.

    Raises ``InputError`` where one of them cannot be turned into features.
    """
    job = BuildJob(folder=Path(), spec=spec, open_source=open_source, skip_bad=False)
    with alone(job) as work:
        return round(_bytes_per_scene(work, range(len(spec.tokens)), spec) * len(spec.tokens))


def _nobody(done: int, total: int) -> None:
    """Is told of the progress."""


def _build(folder: Path, job: BuildJob, crew: Crew, progress: Progress) -> None:
    spec = job.spec
    if not spec.tokens:
        raise InputError(f"Source '{spec.source}' has no scenes to build features from.")
    job.folder.mkdir(parents=True, exist_ok=True)
    create_samples(job.folder, len(spec.tokens))
    tasks = shards_of(len(spec.tokens))
    missing = [task for task in tasks if task.shard is not None and _finished(job, task.shard) is None]
    done = len(spec.tokens) - sum(len(task.rows) for task in missing)
    logger.info("building %d of %d scenes in '%s'", len(spec.tokens) - done, len(spec.tokens), job.folder)
    if missing:
        with crew(job) as work:
            _announce_size(work, missing, job)
            for report in work(missing):
                done += report.num_scenes
                progress(done, len(spec.tokens))
    _finish(job, folder, len(tasks))


def _finished(job: BuildJob, shard: int) -> FinishedShard | None:
    """As it was left by an earlier build, which may have skipped what this one may not."""
    found = FinishedShard.read(job.folder, shard)
    return found if found is not None and (job.skip_bad or not found.skipped) else None


def _bytes_per_scene(work: Work, rows: Sequence[int], spec: CacheSpec) -> float:
    chosen = sorted({rows[i] for i in np.linspace(0, len(rows) - 1, MEASURED_SCENES).astype(int)})
    (report,) = work([Task(rows=tuple(chosen))])
    return report.num_bytes / report.num_built if report.num_built else float(spec.raw_bytes)


def _announce_size(work: Work, missing: list[Task], job: BuildJob) -> None:
    """Say how large the cache will be. Raises ``InputError`` where the disk has no room for it."""
    rows = [row for task in missing for row in task.rows]
    per_scene = _bytes_per_scene(work, rows, job.spec)
    needed, free = per_scene * len(rows), shutil.disk_usage(job.folder).free
    logger.info(
        "feature cache needs about %.1f MB more, %.1f kB a scene (%.1f MB are free)", needed / 1e6, per_scene / 1e3, free / 1e6
    )
    if needed > 0.95 * free:
        raise InputError(
            f"The feature cache needs about {needed / 1e9:.1f} GB but '{job.folder.parent}' has {free / 1e9:.1f} GB free. "
            "Set data.cache to a larger disk, or lower data.max_scenes or data.image_quality."
        )


def _finish(job: BuildJob, folder: Path, num_shards: int) -> None:
    shards = [found for shard in range(num_shards) if (found := _finished(job, shard)) is not None]
    if len(shards) < num_shards:
        raise InputError(f"A file in '{job.folder}' disappeared while the cache was built. Start again: the rest is kept.")
    num_rows = sum(len(shard.locations) for shard in shards)
    skipped = {token: reason for shard in shards for token, reason in shard.skipped.items()}
    if not num_rows:
        token, reason = next(iter(skipped.items()))
        raise InputError(f"None of {len(skipped)} scenes of source '{job.spec.source}' can be read; '{token}': {reason}")
    write_column(job.folder, "status", np.concatenate([shard.status for shard in shards]))
    write_column(job.folder, "trajectory", np.concatenate([shard.trajectory for shard in shards]))
    index = CacheIndex(
        spec=job.spec,
        skipped=skipped,
        locations=tuple(name for shard in shards for name in shard.locations),
        log_names=tuple(name for shard in shards for name in shard.log_names),
        shard_bytes=tuple(shard.num_bytes for shard in shards),
        image_error=ImageError(
            max=max(shard.max_error for shard in shards), mean=sum(shard.sum_of_mean_errors for shard in shards) / num_rows
        ),
    )
    index.write(job.folder)
    job.folder.replace(folder)
    shutil.rmtree(folder / "done")
    size = sum(index.shard_bytes)
    logger.info(
        "feature cache '%s' has %d scenes, %.1f MB, %.1f kB a scene", folder, num_rows, size / 1e6, size / num_rows / 1e3
    )
    if job.spec.image_quality is not None:
        logger.info(
            "its pictures differ by at most %d grey levels, %.3f on average", index.image_error.max, index.image_error.mean
        )


def _refuse_skipped(cache: FeatureCache) -> None:
    if not cache.skipped:
        return
    token, reason = next(iter(cache.skipped.items()))
    raise InputError(
        f"Feature cache '{cache.folder}' lacks {len(cache.skipped)} of {len(cache.asked.tokens)} scenes that could not be "
        f"read, the first is '{token}': {reason} Set data.on_bad_scene to skip to train without them, or delete the folder to "
        "build again."
    )


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Wait until nobody else builds ``folder``. The lock of a process that is killed is free."""
    from filelock import FileLock, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("another process builds '%s'; waiting for it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_may_be_full(parent: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"The disk of '{parent}' is full. What is finished of the feature cache is whole: make room, or move the "
            "folder to a larger disk and name it in data.cache, and start again."
        ) from error
