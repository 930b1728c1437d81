"""Network inputs and targets of many scenes, read by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.training.cache.index import CacheIndex, ImageError
from diffdrive.training.cache.packed import PackedBatch
from diffdrive.training.cache.samples import batch_of
from diffdrive.training.cache.shard_reader import ShardReader
from diffdrive.training.cache.shards import SHARD_SCENES, SMALL_COLUMNS, file_size, read_column, shard_file
from diffdrive.training.cache.spec import CacheSpec


class FeatureCache:
    """An open cache. Travels to other processes, forked or spawned; may be read by several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises ``InputError`` for a folder that is not a complete cache of this version."""
        index = CacheIndex.read(folder)
        self.folder = folder
        self.spec: CacheSpec = index.rows
        """Its tokens are the rows."""

        self.asked: CacheSpec = index.spec
        """As ``spec``, with the scenes that could not be read."""

        self.skipped: Mapping[str, str] = index.skipped
        """Scenes that could not be read when the cache was built, and why."""

        self.locations: tuple[str, ...] = index.locations
        self.log_names: tuple[str, ...] = index.log_names
        self.image_error: ImageError = index.image_error
        self.num_bytes = sum(index.shard_bytes)
        """Size of the samples on disk."""

        self._shard_bytes = index.shard_bytes
        stored = [row for row, token in enumerate(self.asked.tokens) if token not in self.skipped]
        self._stored = np.array(stored, dtype=np.int64)
        self._reader = ShardReader(folder)

    def __len__(self) -> int:
        return len(self.spec.tokens)

    def column(self, name: str) -> np.ndarray:
        """[N, ...] the whole column ``status`` or ``trajectory``. Raises ``InputError`` for another, and a damaged one."""
        if name not in SMALL_COLUMNS:
            raise InputError(f"A feature cache has whole columns {' and '.join(SMALL_COLUMNS)}, not '{name}'. Read batches.")
        try:
            values = read_column(self.folder, name)
        except (ValueError, OSError) as error:
            raise InputError(
                f"Column '{self.folder / name}' of the feature cache is damaged ({error}). Delete the folder and build again."
            ) from error
        return values[self._stored]

    def batch(self, rows: Sequence[int] | np.ndarray) -> PackedBatch:
        """The scenes at ``rows``, in that order. Raises ``InputError`` that names file and token of a damaged one."""
        stored = self._stored[np.asarray(rows, dtype=np.int64)]
        try:
            return self._read(stored)
        except (ValueError, OSError):
            for row in stored.tolist():
                self._check(row)
            raise

    def expect(self, spec: CacheSpec) -> None:
        """Raise ``InputError`` unless this cache is the one that ``spec`` describes."""
        if spec in (self.spec, self.asked):
            return
        names = [f.name for f in dataclasses.fields(spec) if getattr(spec, f.name) != getattr(self.asked, f.name)]
        raise InputError(
            f"Feature cache '{self.folder}' was made for other {' and '.join(names)}. "
            "Delete the folder, or give the run another data.cache."
        )

    def check_files(self) -> None:
        """Look for every file, reading none. Raises ``InputError`` where one is missing or cut short."""
        for shard, expected in enumerate(self._shard_bytes):
            file = shard_file(self.folder, shard)
            found = file_size(file)
            if found != expected:
                what = f"has {found} bytes instead of {expected}" if file.exists() else "is missing"
                first = self.asked.tokens[shard * SHARD_SCENES]
                raise InputError(
                    f"File '{file}' of the feature cache {what}; scene '{first}' is in it. Delete the folder and build again."
                )

    def _read(self, stored: np.ndarray) -> PackedBatch:
        return batch_of(self._reader.rows(stored), self.spec)

    def _check(self, stored: int) -> None:
        try:
            self._read(np.array([stored]))
        except (ValueError, OSError) as error:
            file = shard_file(self.folder, stored // SHARD_SCENES)
            raise InputError(
                f"Scene '{self.asked.tokens[stored]}' cannot be read: '{file}' is damaged ({error}). "
                f"Delete '{self.folder}' and build it again."
            ) from error
