"""Work in a pool of processes on this machine, of which any may die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.executors.executor import ChunkOutcome, cores
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.rows import SceneScore
from diffdrive.evaluation.scoring.runner import ChunkRunner
from diffdrive.runtime.errors import describe

_QUIT_S = 5.0
_PRELOADED = ("diffdrive", "py123d", "shapely", "torch")


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """``workers`` processes, one a core by default.

    Each worker has a pipe of its own, so when one is killed it is known which chunk it took along; another worker takes
    its place. Workers are forked from a server that has imported what they need and opened nothing, never from this process:
    a renderer or a GPU context would not survive a fork. Where there is no such server (Windows) they are spawned.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"A pool needs at least one worker, got {self.workers}.")

    def run(self, job: ScoringJob, chunks: Sequence[Chunk]) -> Iterator[ChunkOutcome]:
        """In the order in which chunks are finished. Raises ``InputError`` for a job that cannot travel to a process."""
        content = _packed(job)
        waiting = list(reversed(chunks))
        busy: dict[Connection, _Worker] = {}
        idle: list[_Worker] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < (self.workers or cores()):
                    worker = idle.pop() if idle else _Worker(content)
                    worker.give(waiting.pop())
                    busy[worker.pipe] = worker
                # A pipe becomes readable when an answer lies in it, and when its worker has died.
                ready = wait(list(busy))
                for pipe in [pipe for pipe in busy if pipe in ready]:
                    worker = busy.pop(pipe)
                    outcome = worker.outcome()
                    if outcome.lost:
                        worker.end()
                    else:
                        idle.append(worker)
                    yield outcome
        finally:
            for worker in [*busy.values(), *idle]:
                worker.end()


class _Worker:
    def __init__(self, content: bytes) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, content), daemon=True)
        self.process.start()
        # Only the worker may hold its end: then the pipe breaks when the worker dies.
        theirs.close()
        self.chunk: Chunk | None = None

    def give(self, chunk: Chunk) -> None:
        self.chunk = chunk
        # A worker that is dead already is noticed when its answer is read.
        with suppress(OSError):
            self.pipe.send(chunk)

    def outcome(self) -> ChunkOutcome:
        if self.chunk is None:
            raise RuntimeError("A worker without a chunk was asked for its outcome.")
        try:
            answer: tuple[SceneScore, ...] | str = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(_QUIT_S)
            return ChunkOutcome(self.chunk, lost=_how_it_ended(self.process.exitcode))
        return ChunkOutcome(self.chunk, lost=answer) if isinstance(answer, str) else ChunkOutcome(self.chunk, answer)

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(_QUIT_S)
        if self.process.is_alive():
            self.process.kill()


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # Readers of logs take longer to import than to run: the server imports once what this process has needed so far.
    context.set_forkserver_preload([name for name in sys.modules if name.partition(".")[0] in _PRELOADED])
    return context


def _packed(job: ScoringJob) -> bytes:
    try:
        return pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"The job cannot travel to another process ({describe(error)}). Give planners that pickle can write, for example "
            "Entrant(make=<a function at the top of a module>), or use the serial executor."
        ) from error


def _work(pipe: Connection, content: bytes) -> None:
    """The life of a worker. Ends when its parent closes the pipe or dies."""
    # Ctrl-C goes to every process of the terminal; the parent decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runner: ChunkRunner | None = None
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            chunk = pipe.recv()
            try:
                runner = runner or ChunkRunner(pickle.loads(content))
                answer: tuple[SceneScore, ...] | str = runner(chunk)
            except Exception as error:  # a bug in here must be told, not end the worker
                answer = f"the worker raised {describe(error)}"
            pipe.send(answer)


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers: each notices by itself, in the middle of a chunk too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is None:
        return "the worker closed its pipe"
    if exitcode < 0:
        with suppress(ValueError):
            return f"the worker was killed by {signal.Signals(-exitcode).name}"
    return f"the worker ended with status {exitcode}"
