"""Rows of different lengths, one after another in flat tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def ragged(offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Every element of the rows ``rows`` [N]: the place of its row in ``rows``, and its own place in the flat tensor.

    ``offsets`` [rows + 1] says where each row begins.
    """
    start = offsets.index_select(0, rows)
    counts = offsets.index_select(0, rows + 1) - start
    row = torch.repeat_interleave(counts)
    shift = start - (counts.cumsum(0) - counts)
    return row, torch.arange(len(row), device=rows.device) + shift.index_select(0, row)


def first_of_group(group: Tensor, order: Tensor, groups: int) -> Tensor:
    """The elements of smallest ``order`` [N] in each group, as indices; ``group`` [N] counts to ``groups``."""
    best = torch.full((groups,), torch.iinfo(torch.int64).max, device=group.device)
    best = best.scatter_reduce(0, group, order, "amin")
    return (order == best.index_select(0, group)).nonzero()[:, 0]
