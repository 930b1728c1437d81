"""How fast the network could be at best on a device: its arithmetic and its traffic, over rates measured there.

floor = max(operations / operations per second, bytes that must move / bytes per second)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from diffdrive.runtime.latency.loop import Clock, synchronizer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCount:
    """What one call does."""

    flops: int
    """Multiplications and additions of matrix products, convolutions and attention."""

    least_bytes: int
    """Weights, inputs and outputs, each moved once: what no fusion can avoid."""

    unfused_bytes: int
    """Every operation reads its operands from memory and writes its result there; views are free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a device reaches in a large matrix product and a large copy."""

    flops_per_s: float
    bytes_per_s: float
    """Read and written bytes together."""

    def floor_s(self, work: WorkCount) -> float:
        """No call that does ``work`` is faster."""
        return max(work.flops / self.flops_per_s, work.least_bytes / self.bytes_per_s)


def count_work(network: nn.Module, inputs: Sequence[Tensor]) -> WorkCount:
    """Run ``network`` once on ``inputs`` and count. It returns a sequence of tensors; its buffers are weights too."""
    counter, traffic = FlopCounterMode(display=False), _Traffic()
    with torch.no_grad(), counter, traffic:
        outputs = network(*inputs)
    least = sum(_size(tensor) for tensor in (*network.parameters(), *network.buffers(), *inputs, *outputs))
    return WorkCount(flops=int(counter.get_total_flops()), least_bytes=least, unfused_bytes=traffic.total)


def measure_rates(device: torch.device, dtype: torch.dtype, clock: Clock, *, edge: int, copy_bytes: int) -> Rates:
    """The best of several products of ``edge`` x ``edge`` matrices of ``dtype``, and of several copies of ``copy_bytes``."""
    a, b = (torch.randn(edge, edge, device=device).to(dtype) for _ in range(2))
    product_s = _best(lambda: torch.mm(a, b), device, clock)
    source = torch.zeros(copy_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_s = _best(lambda: target.copy_(source), device, clock)
    return Rates(flops_per_s=2 * edge**3 / product_s, bytes_per_s=2 * copy_bytes / copy_s)


def upload_rate(device: torch.device, clock: Clock, *, copy_bytes: int) -> float:
    """Bytes per second from page-locked host memory to a GPU, at best."""
    source = torch.zeros(copy_bytes, dtype=torch.uint8, pin_memory=True)
    target = torch.empty(copy_bytes, dtype=torch.uint8, device=device)
    return copy_bytes / _best(lambda: target.copy_(source, non_blocking=True), device, clock)


def _best(work: Callable[[], object], device: torch.device, clock: Clock, repeats: int = 10) -> float:
    synchronize = synchronizer(device)
    times = []
    for _ in range(repeats + 2):
        synchronize()
        start = clock()
        work()
        synchronize()
        times.append(clock() - start)
    return min(times[2:])


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of operands and results of every operation that computes something."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        read, written = _tensors((args, kwargs)), _tensors(result)
        memory = {_place(tensor) for tensor in read}
        in_place = func._schema.is_mutable
        if in_place or any(_place(tensor) not in memory for tensor in written):
            self.total += sum(_size(tensor) for tensor in (*read, *written))
        return result


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [tensor for each in value for tensor in _tensors(each)] if isinstance(value, list | tuple) else []


def _place(tensor: Tensor) -> int:
    with contextlib.suppress(RuntimeError):
        return tensor.untyped_storage().data_ptr()
    return id(tensor)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
