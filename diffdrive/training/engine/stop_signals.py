"""Signals that ask a run to stop: noted at once, obeyed between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopSignals:
    """While installed, SIGTERM, SIGUSR1 and Ctrl-C are only noted. A second Ctrl-C interrupts as usual."""

    def __init__(self) -> None:
        self.received = 0
        """Number of the signal, 0 before there is one."""
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Does nothing outside the main thread, where Python allows no handlers."""
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}

    def remove(self) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == self.received == signal.SIGINT:
            self.remove()
            raise KeyboardInterrupt
        self.received = number
