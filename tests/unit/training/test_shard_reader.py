"""Reading the cache's files directly gives what Zarr reads from them, and nothing from a damaged one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffdrive.training.cache.samples import Blobs
from diffdrive.training.cache.shard_reader import ShardReader
from diffdrive.training.cache.shards import SHARD_SCENES, create_samples, open_samples, read_rows, shard_file, write_shard

NUM_SCENES, EMPTY = SHARD_SCENES + 5, 7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, the second one not full, with one scene left out."""
    rng = np.random.default_rng(0)
    scenes: list[Blobs | None] = [tuple(rng.bytes(int(n)) for n in rng.integers(0, 300, 4)) for _ in range(NUM_SCENES)]  # type: ignore[misc]
    scenes[EMPTY] = None
    create_samples(tmp_path, NUM_SCENES)
    array = open_samples(tmp_path, writable=True)
    write_shard(array, tmp_path, 0, scenes[:SHARD_SCENES])
    write_shard(array, tmp_path, 1, scenes[SHARD_SCENES:])
    return tmp_path


def test_it_reads_what_zarr_reads(folder: Path) -> None:
    rows = np.random.default_rng(1).permutation([row for row in range(NUM_SCENES) if row != EMPTY])
    assert ShardReader(folder).rows(rows) == read_rows(open_samples(folder), rows)
    with pytest.raises(ValueError, match="empty"):
        ShardReader(folder).rows(np.array([EMPTY]))


def test_no_flipped_bit_goes_unseen(folder: Path) -> None:
    file = shard_file(folder, 0)
    whole = file.read_bytes()
    rows = np.array([row for row in range(SHARD_SCENES) if row != EMPTY])
    for at in np.linspace(0, len(whole) - 1, 60).astype(int).tolist():
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="checksum"):
            ShardReader(folder).rows(rows)
    for size in (0, 3, 1000, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="checksum"):
            ShardReader(folder).rows(rows)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        ShardReader(folder).rows(rows)
    assert len(ShardReader(folder).rows(np.array([SHARD_SCENES]))) == 1, "the other file is whole"
