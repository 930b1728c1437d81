"""How long a run has trained, over all its starts."""

from __future__ import annotations

import time
from collections.abc import Callable


class RunClock:
    """Seconds of training. Time between a checkpoint and the resume from it does not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._earlier_s, self._started_s = 0.0, clock()

    def start(self, earlier_s: float | None = None) -> None:
        """Count from now, on top of what counted before this start."""
        self._started_s = self._clock()
        if earlier_s is not None:
            self._earlier_s = earlier_s

    @property
    def elapsed_s(self) -> float:
        return self._earlier_s + self._clock() - self._started_s
