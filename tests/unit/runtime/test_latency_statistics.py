"""What is said about a list of latencies, against numpy and against lists whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.runtime.latency import ratio_of_medians, summarise


def test_percentiles_are_numpys_and_units_are_milliseconds() -> None:
    seconds = np.random.default_rng(0).gamma(2.0, 0.01, 997)
    given = summarise(seconds)
    for name, percent in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99), ("max_ms", 100)):
        assert getattr(given, name) == pytest.approx(1e3 * np.percentile(seconds, percent), rel=1e-12)
    assert given.mean_ms == pytest.approx(1e3 * seconds.mean(), rel=1e-12)
    assert given.frames == 997 and given.misses is None and given.deadline_ms is None


def test_jitter_is_between_consecutive_frames() -> None:
    assert summarise(np.array([0.010, 0.012, 0.009])).jitter_ms == pytest.approx(2.5)
    assert summarise(np.array([0.010, 0.020, 0.010, 0.020])).jitter_ms == pytest.approx(10.0)
    assert summarise(np.array([0.010, 0.010, 0.020, 0.020])).jitter_ms == pytest.approx(10.0 / 3)
    assert summarise(np.array([0.010])).jitter_ms == 0.0


def test_a_miss_is_later_than_the_deadline() -> None:
    given = summarise(np.array([0.5, 1.0, 1.5, 2.0]), deadline_s=1.0)
    assert (given.misses, given.deadline_ms) == (2, 1000.0)


@pytest.mark.parametrize("bad", [[], [[1.0]], [1.0, float("nan")], [float("inf")], [-1e-9]])
def test_no_statistics_of_nonsense(bad: list[float]) -> None:
    with pytest.raises(InputError):
        summarise(np.array(bad))


def test_the_ratio_is_that_of_the_medians_and_the_interval_holds_it() -> None:
    rng = np.random.default_rng(1)
    b = rng.normal(1.0, 0.1, 500)
    ratio = ratio_of_medians(3.0 * rng.normal(1.0, 0.1, 500), b)
    assert ratio.low < 3.0 < ratio.high and ratio.low < ratio.value < ratio.high
    assert ratio.high - ratio.low < 0.15
    assert ratio == ratio_of_medians(3.0 * np.random.default_rng(1).normal(1.0, 0.1, 1000)[500:], b), "seeded"


def test_the_interval_keeps_pairs_together() -> None:
    rng = np.random.default_rng(2)
    load = rng.uniform(1.0, 10.0, 300)  # what both of a pair suffer
    paired = ratio_of_medians(2.0 * load, load)
    shuffled = ratio_of_medians(2.0 * rng.permutation(load), load)
    assert paired.high - paired.low == pytest.approx(0.0, abs=1e-9)
    assert shuffled.high - shuffled.low > 0.1


def test_ratios_need_pairs_and_time() -> None:
    with pytest.raises(InputError, match="both times"):
        ratio_of_medians(np.ones(3), np.ones(4))
    with pytest.raises(InputError, match="0 s"):
        ratio_of_medians(np.ones(3), np.zeros(3))
