"""What a list of latencies says: percentiles, jitter, missed deadlines, and how two lists compare. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError

RESAMPLES = 2000
"""Bootstrap samples behind an interval of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyStatistics:
    """Of one list of latencies, milliseconds."""

    frames: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    jitter_ms: float
    """Mean absolute difference between the latencies of consecutive frames; 0 for a single frame."""

    deadline_ms: float | None = None
    misses: int | None = None
    """Frames that took longer than ``deadline_ms``; None without a deadline."""


def summarise(seconds: np.ndarray, deadline_s: float | None = None) -> LatencyStatistics:
    """Statistics of ``seconds`` [N], in the order in which the frames ran. Percentiles interpolate linearly.

    Raises ``InputError`` for no frames at all and for values that are negative or not finite.
    """
    values = _checked(seconds)
    p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
    return LatencyStatistics(
        frames=len(values),
        mean_ms=1e3 * float(values.mean()),
        p50_ms=1e3 * p50,
        p95_ms=1e3 * p95,
        p99_ms=1e3 * p99,
        max_ms=1e3 * float(values.max()),
        jitter_ms=1e3 * float(np.abs(np.diff(values)).mean()) if len(values) > 1 else 0.0,
        deadline_ms=None if deadline_s is None else 1e3 * deadline_s,
        misses=None if deadline_s is None else int((values > deadline_s).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times longer one thing takes than another, with an interval of 95 %."""

    value: float
    low: float
    high: float


def ratio_of_medians(a: np.ndarray, b: np.ndarray, *, seed: int = 0) -> Ratio:
    """Median of ``a`` over median of ``b``; frame i of both [N] ran side by side.

    The interval resamples frames, each with both its times, so what slowed both at once cancels.
    Raises ``InputError`` for lists that ``summarise`` refuses, for different lengths and for a median of zero.
    """
    above, below = _checked(a), _checked(b)
    if len(above) != len(below):
        raise InputError(f"A ratio needs both times of every frame, got {len(above)} and {len(below)}. Time both in one loop.")
    if float(np.median(below)) <= 0:
        raise InputError("The median below the line is 0 s, so there is no ratio. Use a clock of a finer resolution.")
    rng = np.random.default_rng(seed)
    samples = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        chosen = rng.integers(0, len(above), len(above))
        samples[index] = np.median(above[chosen]) / np.median(below[chosen])
    low, high = (float(value) for value in np.percentile(samples, (2.5, 97.5)))
    return Ratio(value=float(np.median(above) / np.median(below)), low=low, high=high)


def _checked(seconds: np.ndarray) -> np.ndarray:
    values = np.asarray(seconds, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise InputError(f"Statistics need at least one latency in a flat list, got shape {list(values.shape)}.")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError("Latencies must be finite and not negative, and some are not. Use a clock that never runs backwards.")
    return values
