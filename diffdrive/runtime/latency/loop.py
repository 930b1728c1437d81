"""Time work frame by frame: never without a warm-up, never across work that a device still owes."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from diffdrive.contracts import InputError

MIN_WARM_UP = 5
"""Fewer frames leave allocations, caches and clock frequencies of the first ones in the numbers."""

GARBAGE_COLLECTION = "collected before every pass, off while its frames run"

Clock = Callable[[], float]
"""Seconds, monotonic, for example ``time.perf_counter``."""

Work = Callable[[int], object]
"""Does the work of frame i."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How often. Raises ``InputError`` for no frames and for a warm-up that is too short to be one."""

    frames: int = 1000
    warm_up: int = 50
    """Frames that run before the first one counts."""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise InputError(f"At least 1 frame must be timed, got {self.frames}. The default is 1000.")
        if self.warm_up < MIN_WARM_UP:
            raise InputError(
                f"A latency needs at least {MIN_WARM_UP} frames of warm-up before it, got {self.warm_up}: the first frames "
                "allocate, compile and raise clock frequencies. The default is 50."
            )


@dataclass(frozen=True, slots=True)
class Timed:
    """Work with what brings it to an end: ``synchronize`` waits for the device that ``work`` queued on."""

    work: Work
    synchronize: Callable[[], None]


def _nothing() -> None:
    """For a CPU, which has done its work when the call returns."""


def synchronizer(device: torch.device) -> Callable[[], None]:
    """What to call before a clock is read: it waits for ``device``. The CPU owes nothing."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return _nothing


def measure(subject: Timed, settings: LoopSettings, clock: Clock, when_warm: Callable[[], object] = _nothing) -> np.ndarray:
    """[frames] seconds of every frame after the warm-up. Frame numbers go on from the warm-up's.

    ``when_warm`` is called once between the two.
    """
    for index in range(settings.warm_up):
        subject.work(index)
    when_warm()
    times = np.empty(settings.frames)
    with garbage_collector_off():
        for index in range(settings.frames):
            times[index] = _time(subject, settings.warm_up + index, clock)
    return times


def measure_pair(
    a: Timed, b: Timed, settings: LoopSettings, clock: Clock, when_warm: Callable[[], object] = _nothing
) -> tuple[np.ndarray, np.ndarray]:
    """[frames] seconds of ``a`` and of ``b``, frame by frame in turns: A B, B A, A B ... so that drift meets both alike.

    ``when_warm`` as for ``measure``.
    """
    for index in range(settings.warm_up):
        a.work(index)
        b.work(index)
    when_warm()
    times = np.empty((2, settings.frames))
    with garbage_collector_off():
        for index in range(settings.frames):
            pair = ((0, a), (1, b))
            for row, subject in pair if index % 2 == 0 else reversed(pair):
                times[row, index] = _time(subject, settings.warm_up + index, clock)
    return times[0], times[1]


class StageTimer:
    """Adds up what passes between marks. Every mark waits for the device, which no plan outside of this pass does."""

    def __init__(self, clock: Clock, synchronize: Callable[[], None]) -> None:
        self._clock, self._synchronize = clock, synchronize
        self._last = 0.0
        self.seconds: dict[str, float] = {}

    def start(self) -> None:
        """Begin a frame."""
        self.seconds = {}
        self._synchronize()
        self._last = self._clock()

    def mark(self, stage: str) -> None:
        """Everything since the last mark was ``stage``."""
        self._synchronize()
        now = self._clock()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def measure_stages(
    work: Callable[[int, StageTimer], object], timer: StageTimer, settings: LoopSettings
) -> dict[str, np.ndarray]:
    """[frames] seconds per stage, in the order in which the stages were first heard of; 0 where a frame lacks one.

    ``work`` calls ``timer.mark`` at the end of every stage.
    """
    for index in range(settings.warm_up):
        timer.start()
        work(index, timer)
    heard: list[dict[str, float]] = []
    with garbage_collector_off():
        for index in range(settings.frames):
            timer.start()
            work(settings.warm_up + index, timer)
            heard.append(timer.seconds)
    stages = dict.fromkeys(stage for frame in heard for stage in frame)
    return {stage: np.array([frame.get(stage, 0.0) for frame in heard]) for stage in stages}


@contextlib.contextmanager
def garbage_collector_off() -> Iterator[None]:
    """Collect now, then not until the end: a pause of the harness's own garbage is no property of the engine."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _time(subject: Timed, index: int, clock: Clock) -> float:
    subject.synchronize()
    start = clock()
    subject.work(index)
    subject.synchronize()
    return clock() - start
