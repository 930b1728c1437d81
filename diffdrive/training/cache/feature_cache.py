"""Network inputs and targets of many scenes, computed once and kept as memory-mapped arrays.

A cache is a folder: ``index.json`` (what it holds and from what) and one ``.npy`` per column, row i for scene i. Images are
bytes, LiDAR cells are counts, so a scene takes a fifth of its tensors' size. Taking a batch is slicing arrays; floats are made
from it on the device that trains. ``builder`` writes caches.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffdrive.configuration import build
from diffdrive.contracts import InputError
from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache.packed import PackedBatch
from diffdrive.training.cache.spec import CacheSpec

INDEX = "index.json"
_ENTRIES = {"key", "inputs", "targets", "source", "tokens", "locations", "log_names"}


class FeatureCache:
    """An open cache: read-only columns, and what each row is."""

    def __init__(self, folder: Path) -> None:
        """Raises ``InputError`` for a folder that is not a complete cache of this version."""
        index = _read_index(folder)
        self.folder = folder
        self.spec = CacheSpec(
            inputs=build(InputLayout, index["inputs"]),
            targets=build(TargetLayout, index["targets"]),
            source=index["source"],
            tokens=tuple(index["tokens"]),
        )
        if index["key"] != self.spec.key:
            raise InputError(
                f"Feature cache '{folder}' was written by another version of the features (its key is {index['key'][:12]}, "
                f"now {self.spec.key[:12]}). Delete the folder; training builds it again."
            )
        self.locations: tuple[str, ...] = tuple(index["locations"])
        self.log_names: tuple[str, ...] = tuple(index["log_names"])
        for what, names in (("locations", self.locations), ("log names", self.log_names)):
            if len(names) != len(self.spec.tokens):
                raise InputError(
                    f"Feature cache '{folder}' holds {len(names)} {what} for {len(self.spec.tokens)} scenes. "
                    "Delete the folder; training builds it again."
                )
        rows = len(self.spec.tokens)
        self._columns = {
            name: _open_column(folder / f"{name}.npy", (rows, *shape), dtype)
            for name, (shape, dtype) in self.spec.columns.items()
        }

    def __len__(self) -> int:
        return len(self.spec.tokens)

    def column(self, name: str) -> np.ndarray:
        """[N, ...] one whole column, mapped, not read."""
        return self._columns[name]

    def batch(self, rows: Sequence[int] | np.ndarray) -> PackedBatch:
        """The scenes at ``rows``, in that order, copied out of the map."""
        index = np.asarray(rows, dtype=np.int64)
        return PackedBatch(**{name: torch.from_numpy(column[index]) for name, column in self._columns.items()})

    def expect(self, spec: CacheSpec) -> None:
        """Raise ``InputError`` unless this cache is the one that ``spec`` describes."""
        if self.spec.key == spec.key:
            return
        names = [f.name for f in dataclasses.fields(spec) if getattr(spec, f.name) != getattr(self.spec, f.name)]
        raise InputError(
            f"Feature cache '{self.folder}' was made for other {' and '.join(names) or 'code'}. "
            "Delete the folder, or give the run another data.cache."
        )


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise InputError(f"'{folder}' is not a feature cache: it has no {INDEX}. Build it with: diffdrive train --cache-only")
    try:
        index = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(
            f"Feature cache index '{path}' cannot be read ({error}). Delete the folder and build again."
        ) from error
    missing = _ENTRIES - set(index if isinstance(index, dict) else ())
    if missing:
        raise InputError(f"Feature cache index '{path}' lacks {', '.join(sorted(missing))}. Delete the folder and build again.")
    return index


def _open_column(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"Feature cache column '{path}' cannot be read ({error}). Delete the folder and build again."
        ) from error
    if array.shape != shape or array.dtype != dtype:
        raise InputError(
            f"Feature cache column '{path}' must be {dtype} {list(shape)}, got {array.dtype} {list(array.shape)}. "
            "Delete the folder and build again."
        )
    return array
