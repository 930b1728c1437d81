"""Random numbers of a run as functions of where they are drawn, not of what ran before.

Noise and noise levels belong to a place in the step's whole batch. So a step of 64 samples draws the same for its sample 17
on one process or on four, in one batch or accumulated over eight. What is drawn inside the network (dropout) and by
augmentations belongs to a batch of one process.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


class Stream(enum.IntEnum):
    """What is drawn: the streams of one seed have nothing to do with each other."""

    DENOISING = 0
    NETWORK = 1
    AUGMENTATION = 2
    VALIDATION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """Where a batch stands: sample j of it is sample ``first + j * world_size`` of its step, as ``BatchOrder`` deals them."""

    step: int
    """Optimiser steps before it; of a validation, batches before it."""

    size: int
    """Samples of a full batch of one process."""

    micro: int = 0
    """Batches of the same step before it."""

    accumulate: int = 1
    """Batches of the step."""

    rank: int = 0
    world_size: int = 1

    @property
    def samples(self) -> int:
        """Of the whole step."""
        return self.size * self.world_size * self.accumulate

    @property
    def first(self) -> int:
        """The place of this batch's first sample in the step."""
        return self.micro * self.size * self.world_size + self.rank

    def own(self, drawn: Tensor, count: int) -> Tensor:
        """The rows of ``drawn`` [samples, ...] that belong to this batch, which has ``count`` samples."""
        return drawn[self.first : self.first + count * self.world_size : self.world_size]


def seed_of(seed: int, stream: Stream, *place: int) -> int:
    """A seed of its own for every ``stream`` and ``place`` of the run."""
    (word,) = np.random.SeedSequence((seed, stream, *place)).generate_state(1, np.uint64)
    return int(word)


def batch_seed(seed: int, stream: Stream, place: BatchPlace) -> int:
    """For what belongs to one batch of one process."""
    return seed_of(seed, stream, place.step, place.micro, place.rank)


def draw_noise(
    seed: int, stream: Stream, place: BatchPlace, count: int, *, shape: tuple[int, ...], num_levels: int
) -> tuple[Tensor, Tensor]:
    """Standard normal noise [B, *shape] and levels [B] in 0 .. ``num_levels`` - 1 of the ``count`` = B samples at ``place``."""
    generator = torch.Generator().manual_seed(seed_of(seed, stream, place.step))
    noise = torch.randn(place.samples, *shape, generator=generator)
    levels = torch.randint(num_levels, (place.samples,), generator=generator)
    return place.own(noise, count), place.own(levels, count)
