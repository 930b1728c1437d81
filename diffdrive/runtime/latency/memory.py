"""How much memory the process and its GPU hold."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReading:
    """Bytes and counts at one moment."""

    resident_bytes: int | None
    """None where there is no /proc."""

    peak_resident_bytes: int
    cuda_allocated_bytes: int | None = None
    """None without a GPU, like the next."""

    cuda_allocations: int | None = None
    """Allocations since the process began."""


def read_memory(device: torch.device) -> MemoryReading:
    """Of this process, and of ``device`` where it is a GPU."""
    resident = int(_STATM.read_text().split()[1]) * resource.getpagesize() if _STATM.is_file() else None
    # Linux counts the peak in KiB.
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if device.type != "cuda":
        return MemoryReading(resident_bytes=resident, peak_resident_bytes=peak)
    return MemoryReading(
        resident_bytes=resident,
        peak_resident_bytes=peak,
        cuda_allocated_bytes=int(torch.cuda.memory_allocated(device)),
        cuda_allocations=cuda_allocations(device),
    )


def cuda_allocations(device: torch.device) -> int:
    """How many allocations the caching allocator has served on ``device`` since the process began."""
    return int(torch.cuda.memory_stats(device).get("allocation.all.allocated", 0))
