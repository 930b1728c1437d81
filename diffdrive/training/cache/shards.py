"""Samples in a Zarr array: one chunk a scene, compressed and with a checksum; many chunks a file.

samples/c/0/0   rows 0 to 63, and so on; written whole, aside, and renamed
status, trajectory   the small columns, each in one piece
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from diffdrive.training.cache.samples import Blobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zarr import Array

SHARD_SCENES = 64
"""Scenes of one file: what a killed worker loses, and at most 20 MB."""

SMALL_COLUMNS = ("status", "trajectory")
"""Can be read whole, for anchors and for networks that see nothing else."""

_SAMPLES = "samples"
SLOTS = 4
"""Strings of a scene."""


def shard_file(folder: Path, shard: int) -> Path:
    """Where scenes ``shard * SHARD_SCENES`` and the following are."""
    return folder / _SAMPLES / "c" / str(shard) / "0"


def create_samples(folder: Path, num_scenes: int) -> None:
    """An array without samples, where there is none yet."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    if (folder / _SAMPLES / "zarr.json").is_file():
        return
    zarr.open_group(folder, mode="a")
    with _bytes_of_any_length():
        zarr.create_array(
            folder / _SAMPLES,
            shape=(num_scenes, SLOTS),
            chunks=(1, SLOTS),
            shards=(SHARD_SCENES, SLOTS),
            dtype="variable_length_bytes",
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            overwrite=True,
        )


def open_samples(folder: Path, *, writable: bool = False) -> Array[Any]:
    """The array of samples. Raises what Zarr raises where there is none."""
    import zarr

    with _bytes_of_any_length():
        return zarr.open_array(folder / _SAMPLES, mode="r+" if writable else "r")


def file_size(file: Path) -> int:
    """In bytes; 0 where there is none, as for a file of which every scene was left out."""
    return file.stat().st_size if file.is_file() else 0


def write_shard(samples: Array[Any], folder: Path, shard: int, rows: Sequence[Blobs | None]) -> None:
    """All scenes of one file; None leaves a row empty. Raises ``OSError``, and then leaves nothing behind."""
    # Zarr would read a last file that is there already, and may be damaged, to fill it up.
    shard_file(folder, shard).unlink(missing_ok=True)
    content = np.full((len(rows), SLOTS), b"", dtype=object)
    for row, blobs in enumerate(rows):
        if blobs is not None:
            content[row] = blobs
    first = shard * SHARD_SCENES
    samples[first : first + len(rows)] = content


def read_rows(samples: Array[Any], rows: np.ndarray) -> list[Blobs]:
    """As ``ShardReader.rows``, through Zarr: what any other reader of Zarr would see. Raises what Zarr raises."""
    found = np.asarray(samples.oindex[rows, :])
    return [cast("Blobs", tuple(blobs)) for blobs in found]


def write_column(folder: Path, name: str, values: np.ndarray) -> None:
    """A whole small column."""
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    codecs = [ZstdCodec(level=3), Crc32cCodec()]
    zarr.create_array(folder / name, data=values, chunks=values.shape, compressors=codecs, overwrite=True)


def read_column(folder: Path, name: str) -> np.ndarray:
    """A whole small column. Raises what Zarr raises."""
    import zarr

    return np.asarray(zarr.open_array(folder / name, mode="r")[:])


@contextmanager
def _bytes_of_any_length() -> Iterator[None]:
    """Zarr warns that other languages may not know this type yet. Whoever reads a cache has this code."""
    import zarr.errors

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        yield
