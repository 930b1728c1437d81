"""Operations and bytes of networks small enough to count by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from diffdrive.runtime.latency import Rates, WorkCount, count_work, measure_rates


class Function(nn.Module):
    """Computes ``function``, which reads ``weights``."""

    def __init__(self, function: Callable[..., torch.Tensor], *weights: torch.Tensor) -> None:
        super().__init__()
        self.function = function
        self.register_parameter("first", nn.Parameter(weights[0]) if weights else None)
        self.register_buffer("second", weights[1] if len(weights) > 1 else None)

    def forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        return [self.function(*inputs, *(value for value in (self.first, self.second) if value is not None))]


def test_a_linear_layer() -> None:
    """Its bias is a buffer here: folded networks keep weights so."""
    work = count_work(Function(F.linear, torch.ones(4, 8), torch.ones(4)), [torch.ones(2, 8)])
    assert work.flops == 2 * 2 * 8 * 4
    least = 4 * (16 + 32 + 4 + 8)
    assert work.least_bytes == least
    assert work.unfused_bytes == least, "the transposed weight is a view of it and moves nothing"


def test_every_operation_pays_without_fusion_and_views_are_free() -> None:
    network = Function(lambda x: (x.t().contiguous()[:5] + 1.0).relu_())
    work = count_work(network, [torch.ones(10, 10)])
    # Transposed rows are copied: 100 in, 100 out; the sum: 50 in, 50 out; in place: 50 in, 50 out.
    assert work.unfused_bytes == 4 * (200 + 100 + 100)
    assert work.flops == 0 and work.least_bytes == 4 * (100 + 50)


def test_half_precision_moves_half_the_bytes() -> None:
    square = Function(lambda x: x @ x)
    full, half = (count_work(square, [torch.ones(8, 8, dtype=dtype)]) for dtype in (torch.float32, torch.bfloat16))
    assert full.flops == half.flops == 2 * 8**3
    assert full.unfused_bytes == 2 * half.unfused_bytes and full.least_bytes == 2 * half.least_bytes


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
