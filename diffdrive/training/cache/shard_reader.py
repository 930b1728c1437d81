"""Read samples straight from the files that Zarr wrote: a tenth of the time, without its threads.

Zarr hands every small read to an event loop in another thread, which costs 1 ms a scene, as much as decoding a small picture.
A file here is what its Zarr array says (zarr.json): 64 chunks, then the index of their places, 16 bytes each, and its CRC-32C.
A chunk is zstd over strings with their lengths before them, and a CRC-32C.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from diffdrive.training.cache.samples import Blobs
from diffdrive.training.cache.shards import SHARD_SCENES, SLOTS, shard_file

_CHECKSUM = 4  # bytes
_INDEX = 16 * SHARD_SCENES + _CHECKSUM
_ABSENT = 2**64 - 1


class ShardReader:
    """Opens a file for every scene it reads: a cache of navtrain has more files than a process may keep open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._indices: dict[int, np.ndarray] = {}

    def rows(self, rows: np.ndarray) -> list[Blobs]:
        """The scenes at ``rows``, in that order.

        Raises ``OSError`` for a file that is not there and ``ValueError`` for bytes that are not what was written.
        """
        return [self._row(*divmod(int(row), SHARD_SCENES)) for row in rows]

    def _row(self, shard: int, place: int) -> Blobs:
        with shard_file(self.folder, shard).open("rb") as file:
            if shard not in self._indices:
                size = file.seek(0, 2)
                file.seek(max(size - _INDEX, 0))
                # [64, 2] offset and size of every chunk.
                self._indices[shard] = np.frombuffer(_checked(file.read(), "the file's index"), "<u8").reshape(SHARD_SCENES, 2)
            offset, size = self._indices[shard][place].tolist()
            if offset == _ABSENT:
                raise ValueError("it is empty")
            file.seek(offset)
            return _strings(_checked(file.read(size), "the scene"))


def _checked(content: bytes, what: str) -> memoryview:
    from google_crc32c import value

    if len(content) < _CHECKSUM or value(content[:-_CHECKSUM]) != int.from_bytes(content[-_CHECKSUM:], "little"):
        raise ValueError(f"the checksum of {what} does not match")
    return memoryview(content)[:-_CHECKSUM]


def _strings(packed: memoryview) -> Blobs:
    from numcodecs.zstd import Zstd

    content = memoryview(Zstd().decode(packed))
    found, at = [], 4
    for _ in range(SLOTS):
        length = int.from_bytes(content[at : at + 4], "little")
        found.append(bytes(content[at + 4 : at + 4 + length]))
        at += 4 + length
    return cast("Blobs", tuple(found))
