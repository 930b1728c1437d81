"""What a worker of a build does: scenes in, a file of samples out. Several may work on one folder, never on one file."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.scene import SceneSource
from diffdrive.training.cache.samples import Sample, sample_of
from diffdrive.training.cache.shards import SHARD_SCENES, file_size, open_samples, shard_file, write_shard
from diffdrive.training.cache.spec import CacheSpec

if TYPE_CHECKING:
    from zarr import Array

logger = logging.getLogger(__name__)

OpenSource = Callable[[], SceneSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildJob:
    """What every worker is told."""

    folder: Path
    spec: CacheSpec
    open_source: OpenSource
    skip_bad: bool
    """Leave unreadable scenes out; else they end the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Build one file of samples, or only measure some."""

    rows: tuple[int, ...]
    shard: int | None = None
    """None writes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a task."""

    num_scenes: int
    """Asked for."""

    num_built: int
    num_bytes: int
    """Of the built ones, before compression of what is not pictures where nothing was written; on disk otherwise."""


@dataclass(slots=True)
class Worker:
    """One process's share. Opens the source and the array once."""

    job: BuildJob
    _source: SceneSource | None = None
    _samples: Array[Any] | None = None
    _measured: dict[int, Sample] = field(default_factory=dict)

    def __call__(self, task: Task) -> Report:
        """Raises ``InputError`` for a scene that cannot become features, ``OSError`` where it cannot write."""
        skipped: dict[str, str] = {}
        samples = [self._sample(row, skipped) for row in task.rows]
        built = [sample for sample in samples if sample is not None]
        if task.shard is None:
            self._measured = {row: sample for row, sample in zip(task.rows, samples, strict=True) if sample is not None}
            size = sum(_estimated_bytes(sample) for sample in built)
            return Report(num_scenes=len(samples), num_built=len(built), num_bytes=size)
        if self._samples is None:
            self._samples = open_samples(self.job.folder, writable=True)
        blobs = [sample.blobs if sample is not None else None for sample in samples]
        write_shard(self._samples, self.job.folder, task.shard, blobs)
        done = _finished(self.job.folder, task.shard, samples, skipped, self.job.spec)
        done.write(self.job.folder)
        return Report(num_scenes=len(samples), num_built=len(built), num_bytes=done.num_bytes)

    def _sample(self, row: int, skipped: dict[str, str]) -> Sample | None:
        if row in self._measured:
            return self._measured.pop(row)
        spec = self.job.spec
        token = spec.tokens[row]
        if self._source is None:
            self._source = self.job.open_source()
        try:
            return sample_of(self._source.load(token), spec)
        except InputError as error:
            if not self.job.skip_bad:
                raise InputError(f"Scene '{token}' of source '{spec.source}' cannot become features: {error}") from error
            logger.warning("scene '%s' is left out: %s", token, error)
            skipped[token] = str(error)
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedShard:
    """What the index will say of one file of samples. It exists once the samples are written."""

    shard: int
    num_bytes: int
    skipped: dict[str, str]
    locations: list[str]
    log_names: list[str]
    max_error: int
    sum_of_mean_errors: float
    status: np.ndarray
    """[n, 8], zeros for what was left out; ``trajectory`` [n, T, 3] likewise."""

    trajectory: np.ndarray

    def write(self, folder: Path) -> None:
        """Beside the samples."""
        arrays = {"status": self.status, "trajectory": self.trajectory}
        about = {name: getattr(self, name) for name in self.__slots__ if name not in arrays}
        with written_aside(_note(folder, self.shard)) as aside:
            np.savez(aside, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, folder: Path, shard: int) -> FinishedShard | None:
        """None where the shard is not finished, or its file is not as it was written (a machine lost power)."""
        file, note = shard_file(folder, shard), _note(folder, shard)
        try:
            with np.load(note) as arrays:
                found = cls(**json.loads(arrays["about"].item()), status=arrays["status"], trajectory=arrays["trajectory"])
            return found if file_size(file) == found.num_bytes else None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None


def _finished(
    folder: Path, shard: int, samples: Sequence[Sample | None], skipped: dict[str, str], spec: CacheSpec
) -> FinishedShard:
    records = np.zeros(len(samples), spec.record)
    for row, sample in enumerate(samples):
        if sample is not None:
            records[row] = sample.record
    built = [sample for sample in samples if sample is not None]
    return FinishedShard(
        shard=shard,
        num_bytes=file_size(shard_file(folder, shard)),
        skipped=skipped,
        locations=[sample.location for sample in built],
        log_names=[sample.log_name for sample in built],
        max_error=max((sample.picture.max_error for sample in built), default=0),
        sum_of_mean_errors=sum(sample.picture.mean_error for sample in built),
        status=records["status"],
        trajectory=records["trajectory"],
    )


def shards_of(num_scenes: int) -> list[Task]:
    """All there is to do."""
    starts = range(0, num_scenes, SHARD_SCENES)
    return [
        Task(shard=shard, rows=tuple(range(start, min(start + SHARD_SCENES, num_scenes)))) for shard, start in enumerate(starts)
    ]


def _note(folder: Path, shard: int) -> Path:
    return folder / "done" / f"{shard:06d}.npz"


def _estimated_bytes(sample: Sample) -> int:
    from numcodecs.zstd import Zstd

    *files, record = sample.blobs
    return sum(map(len, files)) + len(Zstd(level=3).encode(record))
