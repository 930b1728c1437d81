"""Scenes that a cache holds but cannot read: stop with the name, or go on with another scene, and say so."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache, PackedBatch
from diffdrive.training.cache.shards import shard_file
from diffdrive.training.config import TrainingConfig
from diffdrive.training.config.data import OnBadScene
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.lightning import pl
from diffdrive.training.loading import BadSceneReport, BatchLoader, BatchOrder, SceneReader

BAD = 11
ROWS = np.array([*range(11)] * 11 + [BAD])  # one bad scene in 122


class DamagedCache(FeatureCache):
    """Some rows cannot be read."""

    def __init__(self, folder: Path, *bad: int) -> None:
        super().__init__(folder)
        self.bad = set(bad)

    def batch(self, rows: Sequence[int] | np.ndarray) -> PackedBatch:
        if damaged := self.bad & {int(row) for row in rows}:
            raise InputError(f"Scene '{self.spec.tokens[min(damaged)]}' cannot be read: damaged.")
        return super().batch(rows)


def same(one: PackedBatch, other: PackedBatch) -> bool:
    return all(torch.equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_run_stops_and_names_the_scene(tiny_cache: FeatureCache, workers: int) -> None:
    cache, order = DamagedCache(tiny_cache.folder, BAD), BatchOrder(rows=np.arange(12), batch_size=4, seed=0)
    place = [BAD in rows for rows in order.batches(0)].index(True)
    batches = iter(BatchLoader(cache, order, workers=workers))
    for _ in range(place):
        next(batches)
    with pytest.raises(InputError, match=r"Scene 'scene-011' cannot be read: damaged\. .*on_bad_scene"):
        next(batches)
    with pytest.raises(InputError, match="Scene 'scene-011' cannot be read"):
        SceneReader(cache, np.arange(12), OnBadScene.STOP, seed=0).batch([0, BAD])


def test_a_flipped_bit_in_a_file_of_the_cache_is_a_bad_scene(tiny_cache: FeatureCache, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_cache.folder, folder)
    file = shard_file(folder, 0)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    cache, order = FeatureCache(folder), BatchOrder(rows=np.arange(12), batch_size=12)
    with pytest.raises(InputError, match=rf"Scene 'scene-0\d\d' cannot be read: '{file}' is damaged .*on_bad_scene"):
        list(BatchLoader(cache, order))
    with pytest.raises(InputError, match=r"1 of the epoch's 12 scenes cannot be read, more than 1%"):
        list(BatchLoader(cache, order, on_bad_scene=OnBadScene.SKIP))


def test_a_row_has_one_stand_in_whoever_reads_it(tiny_cache: FeatureCache) -> None:
    cache, order = DamagedCache(tiny_cache.folder, BAD), BatchOrder(rows=ROWS, batch_size=2, seed=0)
    alone = SceneReader(cache, ROWS, OnBadScene.SKIP, seed=order.seed)[np.array([BAD])].batch
    assert alone is not None
    assert same(SceneReader(cache, ROWS, OnBadScene.SKIP, seed=order.seed).batch([BAD]), alone)
    (other,) = (row for row in range(11) if same(alone, cache.batch([row])))
    reader = SceneReader(cache, ROWS, OnBadScene.SKIP, seed=order.seed)
    reader.batch([BAD, 0])
    assert (reader.row_read(BAD), reader.row_read(0)) == (other, 0)
    leaving_out = SceneReader(cache, ROWS, OnBadScene.SKIP, seed=None)
    leaving_out.batch([BAD, 0])
    with pytest.raises(InputError, match="was left out"):
        leaving_out.row_read(BAD)
    expected = [cache.batch(np.where(rows == BAD, other, rows)) for rows in order.batches(0)]
    for workers in (0, 1, 2):
        loader = BatchLoader(cache, order, workers=workers, on_bad_scene=OnBadScene.SKIP)
        assert all(same(one, two) for one, two in zip(loader, expected, strict=True))
        assert loader.take_bad_tokens() == ["scene-011"]
        assert loader.take_bad_tokens() == []


def test_more_than_one_per_cent_stops_the_run_all_the_same(tiny_cache: FeatureCache) -> None:
    cache = DamagedCache(tiny_cache.folder, BAD, 10)
    loader = BatchLoader(cache, BatchOrder(rows=ROWS, batch_size=2, seed=0), on_bad_scene=OnBadScene.SKIP)
    with pytest.raises(InputError, match=r"2 of the epoch's 122 scenes cannot be read, more than 1%: 'scene-01"):
        list(loader)
    none = DamagedCache(tiny_cache.folder, *range(12))
    with pytest.raises(InputError, match="No scene of cache"):
        list(BatchLoader(none, BatchOrder(rows=ROWS, batch_size=2, seed=0), on_bad_scene=OnBadScene.SKIP))


def test_validation_leaves_a_bad_scene_out(tiny_cache: FeatureCache) -> None:
    cache = DamagedCache(tiny_cache.folder, BAD)
    loader = BatchLoader(cache, BatchOrder(rows=ROWS, batch_size=11), on_bad_scene=OnBadScene.SKIP)
    batches = list(loader)
    assert [len(batch) for batch in batches] == [11] * 11, "the twelfth batch was the bad scene alone"
    assert loader.take_bad_tokens() == ["scene-011"]


class _Counts(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)

    def training_step(self, batch: PackedBatch, batch_idx: int) -> torch.Tensor:
        return self.weight * batch.status.sum()

    def validation_step(self, batch: PackedBatch, batch_idx: int) -> None: ...


def test_every_epoch_names_its_bad_scenes(tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path) -> None:
    cache = DamagedCache(tiny_cache.folder, BAD)
    config = dataclasses.replace(tiny_config.data, on_bad_scene=OnBadScene.SKIP, validation_locations=("town-1",))
    data = PlannerDataModule(cache, config, seed=0)
    data.split = type(data.split)(train=ROWS, validation=ROWS)

    def train(epochs: int) -> dict[str, float]:
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            num_sanity_val_steps=0,
            callbacks=[BadSceneReport(tmp_path)],
        )
        trainer.fit(_Counts(), datamodule=data)
        return {name: float(value) for name, value in trainer.callback_metrics.items()}

    assert train(2)["train/bad_scenes"] == 2.0
    files = sorted((tmp_path / "bad_scenes").iterdir())
    assert [file.name for file in files] == ["epoch-0000.json", "epoch-0001.json"]
    assert json.loads(files[1].read_text()) == {"scene-011": 2}, "once in training, once in validation"
    train(1)
    assert json.loads(files[0].read_text()) == {"scene-011": 4}, "a resumed epoch adds to what is there"
