"""Cut a log into scenes: which iterations are a scene's past, present and future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError

# Real sensors jitter; a gap in a recording is far larger. A share of the interval.
_TOLERANCE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneWindow:
    """Lengths and spacing of a scene, seconds."""

    interval_s: float = 0.5
    """Time between the states of one scene."""

    history_s: float = 1.5
    future_s: float = 4.0
    stride_s: float = 0.5
    """Time between the presents of neighbouring scenes."""

    def __post_init__(self) -> None:
        if not (self.interval_s > 0 and self.stride_s > 0):
            raise InputError(f"A scene needs positive interval_s and stride_s, got {self.interval_s} and {self.stride_s}.")
        for name in ("history_s", "future_s"):
            steps = getattr(self, name) / self.interval_s
            if steps < 0 or abs(steps - round(steps)) > 1e-6:
                raise InputError(f"{name} must be a multiple of interval_s = {self.interval_s} s, got {getattr(self, name)} s.")

    @property
    def num_history(self) -> int:
        """States before the present."""
        return round(self.history_s / self.interval_s)

    @property
    def num_future(self) -> int:
        """Poses after the present."""
        return round(self.future_s / self.interval_s)

    def step(self, log_interval_s: float) -> int:
        """Iterations between the states of a scene in a log with an iteration every ``log_interval_s``.

        Raises ``InputError`` when no whole number of iterations comes within a fifth of ``interval_s``.
        """
        step = max(1, round(self.interval_s / log_interval_s))
        if abs(step * log_interval_s - self.interval_s) > _TOLERANCE * self.interval_s:
            raise InputError(
                f"A log with an iteration every {log_interval_s:.3f} s has no states {self.interval_s} s apart. "
                f"Choose interval_s as a multiple of {log_interval_s:.3f} s."
            )
        return step

    def presents(self, timestamps_us: np.ndarray) -> np.ndarray:
        """Iterations [K] of a log at times [N] that have their whole past and future, without a gap, every ``stride_s``."""
        log_interval_s = float(np.median(np.diff(timestamps_us))) * 1e-6
        step = self.step(log_interval_s)
        stride = max(1, round(self.stride_s / log_interval_s))
        presents = np.arange(self.num_history * step, len(timestamps_us) - self.num_future * step, stride)
        offsets = np.arange(-self.num_history, self.num_future + 1)
        times_s = (timestamps_us[presents[:, None] + offsets * step] - timestamps_us[presents, None]) * 1e-6
        whole = (np.abs(times_s - offsets * self.interval_s) <= _TOLERANCE * self.interval_s).all(axis=1)
        return presents[whole]
