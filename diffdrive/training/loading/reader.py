"""Read batches out of a cache, in whatever process, and deal with scenes that cannot be read.

What is read for a row depends on the cache, the rows of the split and the seed, never on what was read before or by whom.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.config.data import OnBadScene


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBatch:
    """One batch on its way from a worker to the training process."""

    batch: PackedBatch | None = None
    """None where no scene of it could be read."""

    bad_rows: tuple[int, ...] = ()
    """Asked for, unreadable, and replaced or left out."""

    error: str | None = None
    """Why the run has to stop. An exception would arrive from a worker wrapped in its traceback."""

    def pin_memory(self) -> ReadBatch:
        """In page-locked memory, from which a GPU copies while the CPU goes on. torch's loader calls it."""
        if self.batch is None:
            return self
        pinned = {f.name: getattr(self.batch, f.name).pin_memory() for f in dataclasses.fields(self.batch)}
        return dataclasses.replace(self, batch=PackedBatch(**pinned))


class SceneReader:
    """Reads batches by row. Every worker has its own copy, which remembers the bad rows it met."""

    def __init__(self, cache: FeatureCache, rows: np.ndarray, policy: OnBadScene, *, seed: int | None) -> None:
        """``rows`` [N] may stand in for a bad one, drawn with ``seed``; None leaves bad rows out instead."""
        self.cache, self.rows, self.policy, self.seed = cache, rows, policy, seed
        self._stand_ins: dict[int, int | None] = {}

    def batch(self, rows: Sequence[int] | np.ndarray) -> PackedBatch:
        """As ``FeatureCache.batch``, with stand-ins. Raises ``InputError`` for what cannot be read."""
        read = self[np.asarray(rows)]
        if read.batch is None:
            raise InputError(read.error or f"None of the rows {list(rows)} can be read.")
        return read.batch

    def row_read(self, row: int) -> int:
        """Which row was read for ``row``: itself, or what stood in for it. Raises ``InputError`` where none did."""
        stand_in = self._stand_ins.get(row, row)
        if stand_in is None:
            raise InputError(f"Row {row} of cache '{self.cache.folder}' was left out: nothing was read for it.")
        return stand_in

    def __getitem__(self, rows: np.ndarray) -> ReadBatch:
        """The batch of ``rows``. Does not raise for what the cache cannot read: see ``ReadBatch.error``."""
        try:
            return self._read([int(row) for row in rows])
        except InputError as error:
            return ReadBatch(error=str(error))

    def _read(self, rows: list[int]) -> ReadBatch:
        while True:
            wanted = [row for row in (self._stand_ins.get(row, row) for row in rows) if row is not None]
            bad_rows = tuple(row for row in rows if row in self._stand_ins)
            try:
                return ReadBatch(batch=self.cache.batch(wanted) if wanted else None, bad_rows=bad_rows)
            except InputError as error:
                bad = {row: reason for row in wanted if (reason := self._why_bad(row)) is not None}
                if not bad:
                    raise
                self._settle(bad, error)

    def _settle(self, bad: dict[int, str], error: InputError) -> None:
        if self.policy is OnBadScene.STOP:
            reason = next(iter(bad.values()))  # names the scene
            raise InputError(f"{reason} To train without such scenes, set data.on_bad_scene to skip.") from error
        for row in bad:
            self._stand_ins[row] = None if self.seed is None else self._stand_in(row, self.seed)

    def _stand_in(self, row: int, seed: int) -> int:
        """The first readable scene of a sequence that is drawn for ``row`` alone."""
        for other in np.random.default_rng((seed, row)).permutation(self.rows):
            if self._why_bad(int(other)) is None:
                return int(other)
        raise InputError(f"No scene of cache '{self.cache.folder}' can be read. Delete the folder and build it again.")

    def _why_bad(self, row: int) -> str | None:
        try:
            self.cache.batch([row])
        except InputError as error:
            return str(error)
        return None
