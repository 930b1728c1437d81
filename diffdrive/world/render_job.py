"""Render the sensors of many scenes into a cache, in several processes, of which any may die."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from diffdrive.contracts import InputError
from diffdrive.world.render_worker import Rendered, RenderWorker
from diffdrive.world.source import WorldSource

HISTORY_STEP_US = 500_000
_SLACK_US = 50_000
_STILLBORN = 3
"""So many processes may die before their first answer; then it is not the frames' fault."""


def with_history(source: WorldSource, tokens: Sequence[str], frames: int) -> tuple[str, ...]:
    """``tokens`` and, for each, the ``frames`` - 1 frames before it, half a second apart: without repetition, log by log.

    ``source`` is one of single frames: ``WorldSource(root, history_s=0, future_s=0)``. Frames before the beginning of a log
    are left out. Raises ``InputError`` for tokens that it does not have.
    """
    if frames < 1:
        raise InputError(f"A scene has at least its present frame, got {frames} frames.")
    known = set(source.tokens)
    if unknown := [token for token in tokens if token not in known]:
        shown = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        raise InputError(f"The data have no frames called {shown}. Are these the logs that the scenes were chosen from?")
    wanted, back_us = set(tokens), (frames - 1) * HISTORY_STEP_US + _SLACK_US
    found: list[str] = []
    for log in source.logs.logs:
        presents = [info.timestamp_us for info in log.scenes if info.token in wanted]
        found += [i.token for i in log.scenes if any(0 <= present - i.timestamp_us <= back_us for present in presents)]
    return tuple(found)


def render(source: WorldSource, tokens: Sequence[str], *, workers: int = 1) -> Iterator[Rendered]:
    """Put the sensors of all ``tokens`` into the cache of ``source``; tell of each frame when it is done, in any order.

    Files that are there stay, so what was interrupted can be run again. A scene that fails is told and does not stop the
    others; so is one that kills its process. Raises ``InputError`` without a cache, and where no renderer opens.
    """
    if workers < 1:
        raise InputError(f"Rendering needs at least one worker, got {workers}.")
    if source.cache is None:
        raise InputError("Rendered sensors need a folder to be kept in: WorldSource(root, cache=DIR).")
    queue, crew = _Queue(source, tokens), dict[Connection, RenderWorker]()
    stillborn = 0
    try:
        while busy := _set_to_work(crew, queue, workers, source):
            for worker in busy:
                done = worker.answer()
                if worker.has_died:
                    stillborn += not worker.has_answered
                    if stillborn > _STILLBORN:
                        raise InputError(f"No frame can be rendered here: {done.reason}. Try another renderer.")
                    queue.put(worker.location, worker.tokens)
                    crew.pop(worker.pipe).end()
                yield done
    finally:
        for worker in crew.values():
            worker.end()


def _set_to_work(crew: dict[Connection, RenderWorker], queue: _Queue, workers: int, source: WorldSource) -> list[RenderWorker]:
    """Give everybody a chunk, as long as there are some; those who have answered. Empty when all is done."""
    for worker in crew.values():
        others = {other.location for other in crew.values() if other is not worker}
        if not worker.tokens and (chunk := queue.take(worker.location, others)):
            worker.give(*chunk)
    while len(crew) < workers and (chunk := queue.take("", {worker.location for worker in crew.values()})):
        worker = RenderWorker(source)
        worker.give(*chunk)
        crew[worker.pipe] = worker
    # A pipe becomes readable when an answer lies in it, and when its worker has died.
    working = [pipe for pipe, worker in crew.items() if worker.tokens]
    ready = wait(working) if working else []
    return [worker for pipe, worker in crew.items() if pipe in ready]


class _Queue:
    """Frames that wait, in chunks of one log each, so that a process can stay with one town."""

    def __init__(self, source: WorldSource, tokens: Sequence[str]) -> None:
        logs: dict[tuple[str, str], list[str]] = {}
        for token in tokens:
            info = source.info(token)
            logs.setdefault((info.location, info.log_name), []).append(token)
        self._waiting = [(location, deque(chunk)) for (location, _), chunk in logs.items()]

    def take(self, location: str, others: Collection[str]) -> tuple[str, deque[str]] | None:
        """A chunk of the town ``location``; else of one that is none of the ``others``; else of any. None where none waits."""
        if not self._waiting:
            return None
        left = Counter(place for place, _ in self._waiting)
        wanted = min(left, key=lambda place: (place != location, place in others, -left[place]))
        return self._waiting.pop(next(k for k, (place, _) in enumerate(self._waiting) if place == wanted))

    def put(self, location: str, tokens: deque[str]) -> None:
        if tokens:
            self._waiting.append((location, tokens))
