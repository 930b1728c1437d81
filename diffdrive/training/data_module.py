"""Training and validation batches of one feature cache, for Lightning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.config import DataConfig
from diffdrive.training.lightning import pl
from diffdrive.training.loading import BatchLoader, BatchOrder, SceneReader
from diffdrive.training.split import Split, split_rows


class PlannerDataModule(pl.LightningDataModule):
    """Splits a cache and loads both sides. ``accumulate`` batches make one optimiser step."""

    def __init__(self, cache: FeatureCache, config: DataConfig, *, seed: int, accumulate: int = 1) -> None:
        super().__init__()
        self.cache, self.config, self.seed, self.accumulate = cache, config, seed, accumulate
        self.split: Split = split_rows(cache.locations, cache.log_names, config, seed=seed)
        self._loaders: dict[str, BatchLoader] = {}

    def train_order(self, rank: int = 0, world_size: int = 1) -> BatchOrder:
        """The training batches of one rank. Raises ``InputError`` where an epoch holds no optimiser step."""
        return BatchOrder(
            rows=self.split.train,
            batch_size=self.config.batch_size,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            accumulate=self.accumulate,
        )

    def train_dataloader(self) -> BatchLoader:
        """Shuffled; begins at the trainer's global step."""
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return self._loader("training", self.train_order(rank, world_size), lambda: trainer.global_step if trainer else 0)

    def training_tokens(self, step: int, micro: int) -> list[str]:
        """The scenes that this process asks for in batch ``micro`` of optimiser step ``step``."""
        trainer = self.trainer
        order = self.train_order(trainer.global_rank, trainer.world_size) if trainer else self.train_order()
        epoch, first = order.place_of(step)
        rows = next(order.batches(epoch, first + micro))
        return [self.cache.spec.tokens[row] for row in rows]

    def val_dataloader(self) -> BatchLoader:
        """In order, every row once, shared out between the ranks."""
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        order = BatchOrder(rows=self.split.validation, batch_size=self.config.batch_size, rank=rank, world_size=world_size)
        return self._loader("validation", order, lambda: 0)

    def reader(self, rows: np.ndarray) -> SceneReader:
        """Reads any of ``rows``, one for one: a scene that cannot be read stops the run, or another of ``rows`` stands in."""
        return SceneReader(self.cache, rows, self.config.on_bad_scene, seed=self.seed)

    def _loader(self, side: str, order: BatchOrder, step: Callable[[], int]) -> BatchLoader:
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        loader = BatchLoader(
            self.cache,
            order,
            workers=self.config.workers,
            pin_memory=device.type == "cuda",
            on_bad_scene=self.config.on_bad_scene,
            step=step,
        )
        if side in self._loaders:
            self._loaders[side].close()
        self._loaders[side] = loader
        return loader

    def teardown(self, stage: str) -> None:
        """End the worker processes."""
        for loader in self._loaders.values():
            loader.close()

    def take_bad_tokens(self) -> list[str]:
        """Scenes that this process could not read since the last call, each as often as it was met."""
        return [token for loader in self._loaders.values() for token in loader.take_bad_tokens()]

    def transfer_batch_to_device(self, batch: PackedBatch, device: torch.device, dataloader_idx: int) -> PackedBatch:
        """Without waiting for the copy; only page-locked batches go to a GPU that way."""
        return batch.to(device, non_blocking=True)
