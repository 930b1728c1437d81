"""Operations and bytes of networks small enough to count by hand."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch
from torch.nn import functional as F

from diffdrive.runtime.latency import Rates, WorkCount, count_work, measure_rates


def test_a_linear_layer() -> None:
    x, weight, bias = torch.ones(2, 8), torch.ones(4, 8), torch.ones(4)
    work = count_work(lambda: [F.linear(x, weight, bias)], [weight, bias], [x])
    assert work.flops == 2 * 2 * 8 * 4
    least = 4 * (16 + 32 + 4 + 8)
    assert work.least_bytes == least
    assert work.unfused_bytes == least, "the transposed weight is a view of it and moves nothing"


def test_every_operation_pays_without_fusion_and_views_are_free() -> None:
    x = torch.ones(10, 10)
    work = count_work(lambda: [(x.t().contiguous()[:5] + 1.0).relu_()], [], [x])
    # Transposed rows are copied: 100 in, 100 out; the sum: 50 in, 50 out; in place: 50 in, 50 out.
    assert work.unfused_bytes == 4 * (200 + 100 + 100)
    assert work.flops == 0 and work.least_bytes == 4 * (100 + 50)


def test_half_precision_moves_half_the_bytes() -> None:
    squares = [torch.ones(8, 8, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    counts = [count_work(functools.partial(lambda x: [x @ x], square), [], []) for square in squares]
    assert counts[0].flops == counts[1].flops == 2 * 8**3
    assert counts[0].unfused_bytes == 2 * counts[1].unfused_bytes


def test_the_floor_is_the_slower_of_both() -> None:
    rates = Rates(flops_per_s=100.0, bytes_per_s=10.0)
    assert rates.floor_s(WorkCount(flops=500, least_bytes=10, unfused_bytes=1000)) == 5.0
    assert rates.floor_s(WorkCount(flops=50, least_bytes=10, unfused_bytes=1000)) == 1.0


def test_rates_are_the_best_of_several_on_the_given_clock() -> None:
    # Every repeat takes one second on this clock, but the eleventh, which is not warm-up any more, half of one.
    ticks = itertools.accumulate(value for repeat in range(100) for value in (0.5 if repeat % 12 == 10 else 1.0, 0.0))
    start = iter([0.0])
    readings = itertools.chain(start, ticks)
    rates = measure_rates(torch.device("cpu"), torch.float32, lambda: next(readings), edge=4, copy_bytes=1000)
    assert rates.flops_per_s == pytest.approx(2 * 4**3 / 0.5)
    assert rates.bytes_per_s == pytest.approx(2 * 1000 / 0.5)
