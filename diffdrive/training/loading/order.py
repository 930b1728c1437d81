"""Which rows make which batch: a pure function of seed, epoch, batch, rank, world size and accumulation.

    epoch      0                                   1
    batch      0   1 | 2   3 | 4   5 | (6 dropped) 0   1 | ...      accumulate = 2
    step         0       1       2                   3

An epoch holds whole optimiser steps, so step s begins at batch s * accumulate of the endless sequence of batches. A step sees
the same scenes on two ranks, with two accumulated batches, and with batches twice as large.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """The batches of one rank, epoch by epoch."""

    rows: np.ndarray
    """[N] rows of the cache to draw from."""

    batch_size: int
    """Per rank."""

    seed: int | None = None
    """Shuffle anew in every epoch and drop what does not fill an optimiser step; None keeps the order and every row."""

    rank: int = 0
    world_size: int = 1
    accumulate: int = 1
    """Batches of one optimiser step."""

    def __post_init__(self) -> None:
        if self.seed is not None and self.num_batches == 0:
            raise InputError(
                f"The training set has {len(self.rows)} scenes, fewer than one step of {self.batch_size} on {self.world_size} "
                f"devices, accumulated {self.accumulate} times. Lower data.batch_size or accumulate, or add scenes."
            )

    @property
    def num_batches(self) -> int:
        """Of one epoch, on each rank."""
        share = self.batch_size * self.world_size
        if self.seed is None:
            return -(-len(self.rows) // share)
        return len(self.rows) // (share * self.accumulate) * self.accumulate

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch."""
        return self.num_batches // self.accumulate

    def place_of(self, step: int) -> tuple[int, int]:
        """Epoch, and batch in it, with which optimiser step ``step`` begins; an unshuffled order has one epoch."""
        return divmod(step * self.accumulate, self.num_batches) if self.seed is not None else (0, 0)

    def batches(self, epoch: int, first: int = 0) -> Iterator[np.ndarray]:
        """[B] rows of every batch of ``epoch`` from batch ``first`` on; the last one of an unshuffled epoch may be short."""
        order = self.rows
        if self.seed is not None:
            order = np.random.default_rng((self.seed, epoch)).permutation(order)
        share = self.batch_size * self.world_size
        for index in range(first, self.num_batches):
            yield order[index * share : (index + 1) * share][self.rank :: self.world_size]
