"""How a run ends before its time."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffdrive.contracts import InputError

REQUEUE_STATUS = 75
"""Exit status after SIGUSR1, by which Slurm says that the time is nearly over: start the same command again."""


class TrainingError(InputError):
    """Training had begun and cannot go on. What the run wrote until then is whole."""


class InterruptedTrainingError(Exception):
    """A signal asked the run to stop; its state was saved first."""

    def __init__(self, signal_number: int, step: int, checkpoint: Path) -> None:
        self.signal_number = signal_number
        name = signal.Signals(signal_number).name
        super().__init__(f"stopped by {name} after step {step}; saved '{checkpoint}'. Continue with --resume auto.")

    @property
    def status(self) -> int:
        """Exit status: that of a process which the signal ended, and one of its own for SIGUSR1."""
        return REQUEUE_STATUS if self.signal_number == signal.SIGUSR1 else 128 + self.signal_number


@contextmanager
def failures_explained(last: Path) -> Iterator[None]:
    """Inside, what stops training becomes a ``TrainingError`` that says how to continue from ``last``."""
    try:
        yield
    except TrainingError:
        raise
    except InputError as error:
        raise TrainingError(f"{error} {_way_on(last)}".strip()) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrainingError(f"The disk is full: '{error.filename or last.parent.parent}'. {_way_on(last)}") from error


def _way_on(last: Path) -> str:
    return f"'{last}' is whole: continue with --resume auto." if last.is_file() else ""
