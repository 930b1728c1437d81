"""Batches for Lightning, read in the training process or ahead of it by worker processes.

The workers are told which rows to read. Their number changes who reads, never what a step sees.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.config.data import OnBadScene
from diffdrive.training.loading.order import BatchOrder
from diffdrive.training.loading.reader import ReadBatch, SceneReader

MAX_BAD_SHARE = 0.01
"""Of what one process reads in an epoch. A run with more would be a run on other data than it was given."""

_BATCHES_AHEAD = 2  # per worker


class BatchLoader:
    """One epoch of batches per iteration. Worker processes live as long as the loader."""

    def __init__(
        self,
        cache: FeatureCache,
        order: BatchOrder,
        *,
        workers: int = 0,
        pin_memory: bool = False,
        on_bad_scene: OnBadScene = OnBadScene.STOP,
        step: Callable[[], int] = lambda: 0,
    ) -> None:
        """``step`` tells the optimiser's global step: where an iteration begins, also in the middle of an epoch.

        ``pin_memory`` puts what workers read into page-locked memory, for a GPU.
        """
        self.cache, self.order, self.step = cache, order, step
        self._bad_rows: list[int] = []
        upcoming = _Upcoming(order, step)
        reader = SceneReader(cache, order.rows, on_bad_scene, seed=order.seed)
        self._iteration: Generator[PackedBatch] | None = None
        self._reads: Iterable[ReadBatch] | None = _ReadHere(reader, upcoming)
        if workers:
            self._reads = _read_by_workers(reader, upcoming, workers, pin_memory)

    def __len__(self) -> int:
        return self.order.num_batches

    def __iter__(self) -> Iterator[PackedBatch]:
        """Ends the iteration before it. Raises ``InputError`` for a scene that cannot be read, or too many that are skipped."""
        # Workers begin now, not when the first batch is asked for.
        if self._reads is None:
            raise RuntimeError("This BatchLoader was closed. Make another one.")
        self._end_iteration()
        self._iteration = self._checked(iter(self._reads))
        return self._iteration

    def close(self) -> None:
        """End the worker processes. Left to the garbage collector, each would be waited for in vain for seconds."""
        self._end_iteration()
        self._reads = None

    def _end_iteration(self) -> None:
        if self._iteration is not None:
            self._iteration.close()
            self._iteration = None

    def _checked(self, reads: Iterator[ReadBatch]) -> Generator[PackedBatch]:
        num_bad = 0
        for read in reads:
            if read.error is not None:
                raise InputError(read.error)
            self._bad_rows.extend(read.bad_rows)
            num_bad += len(read.bad_rows)
            if num_bad > MAX_BAD_SHARE * self._scenes_per_epoch:
                raise InputError(self._too_many(num_bad))
            if read.batch is not None:
                yield read.batch

    @property
    def _scenes_per_epoch(self) -> float:
        return min(len(self) * self.order.batch_size, len(self.order.rows) / self.order.world_size)

    def _too_many(self, num_bad: int) -> str:
        names = ", ".join(f"'{self.cache.spec.tokens[row]}'" for row in self._bad_rows[:5])
        return (
            f"{num_bad} of the epoch's {self._scenes_per_epoch:.0f} scenes cannot be read, more than {MAX_BAD_SHARE:.0%}: "
            f"{names}{' and more' if num_bad > 5 else ''}. Delete '{self.cache.folder}' and build it again."
        )

    def take_bad_tokens(self) -> list[str]:
        """The scenes that could not be read since the last call, each as often as it was met."""
        taken, self._bad_rows = self._bad_rows, []
        return [self.cache.spec.tokens[row] for row in taken]

    def state_dict(self) -> dict[str, int]:
        """Nothing to keep: the place in the data follows from the trainer's step. Says to Lightning that resuming is exact."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """See ``state_dict``."""


class _Upcoming:
    """The rows of every batch from the present step to the end of its epoch, anew in every iteration."""

    def __init__(self, order: BatchOrder, step: Callable[[], int]) -> None:
        self.order, self.step = order, step

    def __len__(self) -> int:
        return self.order.num_batches

    def __iter__(self) -> Iterator[np.ndarray]:
        epoch, first = self.order.place_of(self.step())
        return (rows for rows in self.order.batches(epoch, first) if len(rows))


class _ReadHere:
    def __init__(self, reader: SceneReader, upcoming: _Upcoming) -> None:
        self.reader, self.upcoming = reader, upcoming

    def __iter__(self) -> Iterator[ReadBatch]:
        return (self.reader[rows] for rows in self.upcoming)


def _read_by_workers(reader: SceneReader, upcoming: _Upcoming, workers: int, pin_memory: bool) -> DataLoader[ReadBatch]:
    return DataLoader(
        reader,  # type: ignore[arg-type]
        sampler=upcoming,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_BATCHES_AHEAD,
        persistent_workers=True,
        pin_memory=pin_memory,
        collate_fn=_as_it_is,  # type: ignore[arg-type]
        worker_init_fn=_obey_the_run_alone,
        # A generator of its own: the global one belongs to the training step.
        generator=torch.Generator(),
    )


def _as_it_is(read: ReadBatch) -> ReadBatch:
    return read


def _obey_the_run_alone(worker: int) -> None:
    """A terminal or a Slurm job signals every process; the training process then saves and ends, and its workers with it.

    So a worker obeys SIGTERM, by which Python ends the workers that are left, only if it comes from the training process.
    Without one they end by themselves, within seconds: torch's loop looks for it.
    """
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    # A handler is not told who sent a signal; who waits for one is.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_when_told_by, args=(os.getppid(),), daemon=True).start()


def _end_when_told_by(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
