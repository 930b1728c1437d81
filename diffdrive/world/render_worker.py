"""A process that renders frames, and how its parent talks to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from diffdrive.contracts import InputError
from diffdrive.world.source import WorldSource

_QUIT_S = 5.0
_MESA_THREADS = {"LP_NUM_THREADS": "0"}
"""Mesa's software renderer draws in the thread that asks: with a process for each core, threads of its own only wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What became of one frame."""

    token: str
    is_new: bool = False
    """Drawn now, not found in the cache."""

    reason: str = ""
    """Why there are no sensors; empty where there are."""


class RenderWorker:
    """A process with a pipe of its own, so that when it is killed it is known which frame it took along."""

    def __init__(self, source: WorldSource) -> None:
        # Spawned, not forked: an OpenGL context does not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, source), daemon=True)
        self.process.start()
        # Only the worker may hold its end: then the pipe breaks when the worker dies.
        theirs.close()
        self.location, self.tokens = "", deque[str]()
        self.has_answered = self.has_died = False

    def give(self, location: str, tokens: deque[str]) -> None:
        self.location, self.tokens = location, tokens
        # A worker that is dead already is noticed when its answer is read.
        with suppress(OSError):
            self.pipe.send(list(tokens))

    def answer(self) -> Rendered:
        """What became of the next of its frames. Raises ``InputError`` where it cannot draw at all."""
        token = self.tokens.popleft()
        try:
            told: Rendered | InputError = self.pipe.recv()
        except (EOFError, OSError):
            self.has_died = True
            self.process.join(_QUIT_S)
            return Rendered(token=token, reason=_how_it_ended(self.process.exitcode))
        if isinstance(told, InputError):
            raise told
        self.has_answered = True
        return told

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(_QUIT_S)
        if self.process.is_alive():
            self.process.kill()


def _work(pipe: Connection, source: WorldSource) -> None:
    """The life of a worker. Ends when its parent closes the pipe or dies."""
    # Ctrl-C goes to every process of the terminal; the parent decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update({name: os.environ.get(name, value) for name, value in _MESA_THREADS.items()})
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            _ = source.renderer_description  # opens it
        except InputError as error:
            pipe.recv()
            pipe.send(error)
            return
        while True:
            for token in pipe.recv():
                pipe.send(_rendered(source, token))


def _rendered(source: WorldSource, token: str) -> Rendered:
    try:
        return Rendered(token=token, is_new=source.keep(token))
    except InputError as error:
        return Rendered(token=token, reason=str(error))
    except Exception as error:  # whatever it is, the other scenes go on
        return Rendered(token=token, reason=f"{type(error).__name__}: {error}")


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        with suppress(ValueError):
            return f"the process that drew it was killed by {signal.Signals(-exitcode).name}"
    return f"the process that drew it ended with status {exitcode}"
