"""What is drawn belongs to a sample of a step, however the step is cut up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from diffdrive.training.loading import BatchOrder
from diffdrive.training.randomness import BatchPlace, Stream, batch_seed, draw_noise

SHAPE = (3, 4, 2)


def drawn(place: BatchPlace, seed: int = 0, stream: Stream = Stream.DENOISING) -> tuple[torch.Tensor, torch.Tensor]:
    return draw_noise(seed, stream, place, place.size, shape=SHAPE, num_levels=50)


@pytest.mark.parametrize(("size", "world_size", "accumulate"), [(4, 2, 1), (2, 4, 1), (4, 1, 2), (2, 2, 2), (1, 2, 4)])
def test_a_row_gets_the_same_noise_however_the_step_is_cut_up(size: int, world_size: int, accumulate: int) -> None:
    rows = np.arange(100, 123)
    (whole,) = BatchOrder(rows=rows[:8], batch_size=8, seed=5).batches(0)
    noise, levels = drawn(BatchPlace(step=3, size=8))
    for rank in range(world_size):
        order = BatchOrder(rows=rows[:8], batch_size=size, seed=5, rank=rank, world_size=world_size, accumulate=accumulate)
        for micro, part in enumerate(order.batches(0)):
            place = BatchPlace(step=3, size=size, micro=micro, accumulate=accumulate, rank=rank, world_size=world_size)
            part_noise, part_levels = drawn(place)
            where = [whole.tolist().index(row) for row in part.tolist()]
            assert torch.equal(part_noise, noise[where])
            assert torch.equal(part_levels, levels[where])


def test_steps_seeds_and_streams_draw_differently() -> None:
    cases = itertools.product((0, 1), (Stream.DENOISING, Stream.VALIDATION), (0, 1, 2))
    noises = [drawn(BatchPlace(step=step, size=4), seed, stream)[0] for seed, stream, step in cases]
    for one, other in itertools.combinations(noises, 2):
        assert not torch.equal(one, other)


def test_levels_cover_their_range() -> None:
    levels = torch.cat([drawn(BatchPlace(step=step, size=64))[1] for step in range(20)])
    assert (int(levels.min()), int(levels.max())) == (0, 49)


def test_batches_of_one_process_have_seeds_of_their_own() -> None:
    places = [
        BatchPlace(step=step, size=4, micro=micro, accumulate=2, rank=rank, world_size=2)
        for step, micro, rank in itertools.product(range(5), range(2), range(2))
    ]
    seeds = {batch_seed(seed, stream, place) for seed in range(3) for stream in Stream for place in places}
    assert len(seeds) == 3 * len(Stream) * len(places)


def test_a_short_last_batch_takes_what_a_full_one_would() -> None:
    full = draw_noise(0, Stream.VALIDATION, BatchPlace(step=1, size=4), 4, shape=SHAPE, num_levels=2)[0]
    short = draw_noise(0, Stream.VALIDATION, BatchPlace(step=1, size=4), 3, shape=SHAPE, num_levels=2)[0]
    assert torch.equal(short, full[:3])
