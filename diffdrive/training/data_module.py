"""Batches of a feature cache for Lightning. The order is a function of seed and step, so a resumed run sees what it would have.

No worker processes: a batch is a few slices of mapped arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.config import DataConfig
from diffdrive.training.lightning import pl
from diffdrive.training.split import Split, split_by_location


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLoader:
    """One epoch of batches per iteration."""

    cache: FeatureCache
    rows: np.ndarray
    """[N] rows of ``cache`` to draw from."""

    batch_size: int
    seed: int | None = None
    """Shuffle with this seed and drop the last, incomplete batch; None keeps the order and every row."""

    rank: int = 0
    world_size: int = 1
    step: Callable[[], int] = field(default=lambda: 0)
    """The optimiser's global step: where to begin, also in the middle of an epoch."""

    def __len__(self) -> int:
        share = self.batch_size * self.world_size
        return len(self.rows) // share if self.seed is not None else -(-len(self.rows) // share)

    def __iter__(self) -> Iterator[PackedBatch]:
        epoch, first = divmod(self.step(), max(len(self), 1)) if self.seed is not None else (0, 0)
        for index in range(first, len(self)):
            rows = self.rows_of(epoch, index)
            if len(rows):
                yield self.cache.batch(rows)

    def state_dict(self) -> dict[str, int]:
        """Nothing to keep: the place in the data follows from the trainer's step. Says to Lightning that resuming is exact."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """See ``state_dict``."""

    def rows_of(self, epoch: int, index: int) -> np.ndarray:
        """Rows of batch ``index`` of ``epoch`` on this rank; the last batch of an unshuffled epoch may be short."""
        order = self.rows
        if self.seed is not None:
            order = np.random.default_rng((self.seed, epoch)).permutation(order)
        share = self.batch_size * self.world_size
        return order[index * share : (index + 1) * share][self.rank :: self.world_size]


class PlannerDataModule(pl.LightningDataModule):
    """Training and validation batches of one cache."""

    def __init__(self, cache: FeatureCache, config: DataConfig, *, seed: int) -> None:
        super().__init__()
        self.cache, self.config, self.seed = cache, config, seed
        self.split: Split = split_by_location(cache.locations, config, seed=seed)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled; begins at the trainer's global step."""
        trainer = self.trainer
        return BatchLoader(
            cache=self.cache,
            rows=self.split.train,
            batch_size=self.config.batch_size,
            seed=self.seed,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
            step=lambda: trainer.global_step if trainer else 0,
        )

    def val_dataloader(self) -> BatchLoader:
        """In order, every row once."""
        trainer = self.trainer
        return BatchLoader(
            cache=self.cache,
            rows=self.split.validation,
            batch_size=self.config.batch_size,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
