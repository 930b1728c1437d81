"""The order of batches: every row once, the same whoever reads, and steps that begin where they should."""

from __future__ import annotations

import multiprocessing
import subprocess
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.loading import BatchLoader, BatchOrder

ROWS = np.arange(100, 112)


def flat(batches: Iterable[np.ndarray]) -> list[int]:
    return [int(row) for batch in batches for row in batch]


def test_every_row_once_an_epoch_and_every_rank_its_own() -> None:
    for epoch in range(2):
        seen = [flat(BatchOrder(rows=ROWS, batch_size=2, seed=3, rank=r, world_size=2).batches(epoch)) for r in range(2)]
        assert sorted(seen[0] + seen[1]) == ROWS.tolist()
        assert len(seen[0]) == len(seen[1])
    order = BatchOrder(rows=ROWS, batch_size=2, seed=3)
    assert flat(order.batches(0)) != flat(order.batches(1))
    assert flat(order.batches(0)) != flat(BatchOrder(rows=ROWS, batch_size=2, seed=4).batches(0))
    assert BatchOrder(rows=ROWS, batch_size=5, seed=3).num_batches == 2


def test_in_order_every_row_is_read_and_the_last_rows_are_shared_out() -> None:
    orders = [BatchOrder(rows=ROWS, batch_size=5, rank=rank, world_size=2) for rank in range(2)]
    assert [order.num_batches for order in orders] == [2, 2]
    ends = [list(order.batches(0))[1].tolist() for order in orders]
    assert ends == [[110], [111]]
    assert sorted(flat(orders[0].batches(0)) + flat(orders[1].batches(0))) == ROWS.tolist()


def test_a_step_sees_the_same_scenes_however_they_are_shared() -> None:
    def step(index: int, **options: int) -> list[int]:
        parts = []
        for rank in range(options.get("world_size", 1)):
            order = BatchOrder(rows=ROWS, seed=3, rank=rank, **options)
            epoch, first = order.place_of(index)
            batches = list(order.batches(epoch, first))[: order.accumulate]
            parts.append(flat(batches))
        return sorted(row for part in parts for row in part)

    for index in range(6):
        whole = step(index, batch_size=4)
        assert len(whole) == 4
        assert step(index, batch_size=2, world_size=2) == whole
        assert step(index, batch_size=2, accumulate=2) == whole
        assert step(index, batch_size=1, world_size=2, accumulate=2) == whole


def test_an_epoch_holds_whole_steps() -> None:
    order = BatchOrder(rows=np.arange(11), batch_size=2, seed=0, accumulate=2)
    assert (order.num_batches, order.steps_per_epoch) == (4, 2)
    assert [order.place_of(step) for step in range(5)] == [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0)]
    with pytest.raises(InputError, match="fewer than one step of 2 on 3 devices, accumulated 2 times"):
        BatchOrder(rows=np.arange(11), batch_size=2, seed=0, accumulate=2, world_size=3)


class Steps:
    """A trainer's counter."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self) -> int:
        return self.done


def statuses(batches: Iterable[PackedBatch]) -> list[torch.Tensor]:
    return [batch.status for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_number_of_workers_changes_nothing(tiny_cache: FeatureCache, workers: int) -> None:
    rows, steps = np.arange(11), Steps()
    order = BatchOrder(rows=rows, batch_size=2, seed=9, accumulate=2)
    expected = [tiny_cache.batch(batch) for epoch in range(3) for batch in order.batches(epoch)]
    loader = BatchLoader(tiny_cache, order, workers=workers, step=steps)
    before = torch.random.get_rng_state()
    seen: list[PackedBatch] = []
    for epoch in range(3):
        steps.done = epoch * order.steps_per_epoch
        seen.extend(loader)
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator belongs to the training step"
    assert len(seen) == len(expected) == 12
    for one, other in zip(seen, expected, strict=True):
        for name in one.__slots__:
            assert torch.equal(getattr(one, name), getattr(other, name)), name
    # In the middle of an epoch, and once more after an iteration that nobody finished.
    for step in (1, 3):
        steps.done = step
        next(iter(loader))
        resumed = list(loader)
        assert len(resumed) == 2
        assert torch.equal(resumed[0].status, expected[2 * step].status)
        assert torch.equal(resumed[1].status, expected[2 * step + 1].status)


@pytest.mark.parametrize("workers", [0, 2])
def test_in_order_a_short_last_batch_is_read_too(tiny_cache: FeatureCache, workers: int) -> None:
    loader = BatchLoader(tiny_cache, BatchOrder(rows=np.arange(11), batch_size=4), workers=workers)
    for _ in range(2):
        assert torch.equal(torch.cat(statuses(loader)), tiny_cache.batch(range(11)).status)
    # Nine rows on four ranks of two: the fourth rank has one batch only.
    last = BatchLoader(tiny_cache, BatchOrder(rows=np.arange(9), batch_size=2, rank=3, world_size=4), workers=workers)
    assert [len(batch) for batch in last] == [2]


def test_workers_leave_signals_to_the_training_process(tiny_cache: FeatureCache) -> None:
    before = {process.pid for process in multiprocessing.active_children()}
    loader = BatchLoader(tiny_cache, BatchOrder(rows=np.arange(12).repeat(20), batch_size=4), workers=2)
    batches = iter(loader)
    next(batches)
    workers = [process for process in multiprocessing.active_children() if process.pid not in before]
    assert len(workers) == 2
    for worker in workers:
        for name in ("TERM", "INT", "USR1"):
            # From another process: from this one a worker obeys.
            subprocess.run(["kill", f"-{name}", str(worker.pid)], check=True)
    assert len(list(batches)) == 59
    assert all(worker.is_alive() for worker in workers)
    loader.close()
    assert not any(worker.is_alive() for worker in workers)
    with pytest.raises(RuntimeError, match="closed"):
        iter(loader)
