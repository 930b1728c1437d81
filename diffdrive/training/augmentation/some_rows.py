"""Which samples of a batch are changed, and by how much: drawn on the CPU, from the caller's generator and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from diffdrive.training.cache import PackedBatch


def draw_rows(batch: PackedBatch, probability: float, generator: torch.Generator) -> Tensor:
    """[N] rows of ``batch``, each taken with ``probability``, on the CPU. Nothing is drawn for a probability of zero."""
    if probability == 0.0:
        return torch.empty(0, dtype=torch.long)
    return (torch.rand(len(batch), generator=generator) < probability).nonzero()[:, 0]


def draw(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """[count] float64 numbers evenly from ``low`` .. ``high``, on the CPU."""
    return low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator for whole pictures, drawn where they are: ``generator`` itself on the CPU, one that it seeds elsewhere.

    So numbers drawn for every cell differ between a CPU and a GPU; on one kind of device they repeat.
    """
    if device.type == generator.device.type:
        return generator
    seed = torch.randint(2**63 - 1, (), generator=generator)
    return torch.Generator(device).manual_seed(int(seed))


def with_rows_changed(batch: PackedBatch, rows: Tensor, change: Callable[[PackedBatch], PackedBatch]) -> PackedBatch:
    """``batch`` with the samples at ``rows`` [N] (on the CPU) replaced by what ``change`` makes of them."""
    if len(rows) == 0:
        return batch
    device, count = batch.status.device, len(batch)
    index = rows.to(device)
    # Of the batch and, behind it, the changed samples: copying whole samples is several times as fast as by index.
    order = torch.arange(count).index_copy(0, rows, count + torch.arange(len(rows))).to(device)
    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    some = PackedBatch(**{name: tensor.index_select(0, index) for name, tensor in fields.items()})
    changed = change(some)
    for name, tensor in fields.items():
        made = getattr(changed, name)
        if made is not getattr(some, name):
            fields[name] = torch.cat([tensor, made]).index_select(0, order)
    return PackedBatch(**fields)
