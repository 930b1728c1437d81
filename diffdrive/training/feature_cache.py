"""Network inputs and targets of many scenes, computed once and kept as memory-mapped arrays.

A cache is a folder: ``index.json`` (what it holds and from what) and one ``.npy`` per column, row i for scene i. Images are
bytes, LiDAR cells are counts, so a scene takes a fifth of its tensors' size. Taking a batch is slicing arrays; floats are made
from it on the device that trains. ``cache_builder`` writes caches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.tensors import InputLayout, PlannerInputs, PlannerTargets, TargetLayout

FORMAT_VERSION = 1
FEATURES_VERSION = 1
"""Raise it when ``diffdrive.features`` computes different numbers: caches made before are then built again."""

INDEX = "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSpec:
    """What a cache is a function of. Equal specs hold equal arrays."""

    inputs: InputLayout
    targets: TargetLayout
    source: str
    """Identity of the source: changes when its scenes would change."""

    tokens: tuple[str, ...]
    """Scenes, one row each, in this order."""

    @property
    def key(self) -> str:
        """A hash of everything above and of the versions of the code that computes it."""
        text = json.dumps(
            [FORMAT_VERSION, FEATURES_VERSION, to_mapping(self.inputs), to_mapping(self.targets), self.source, self.tokens]
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def columns(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape of one row, and type, of each column."""
        x, y = self.inputs, self.targets
        byte, single = np.dtype(np.uint8), np.dtype(np.float32)
        return {
            "camera": ((x.camera_height, x.camera_width, 3), byte),
            "lidar": ((1, x.lidar_pixels, x.lidar_pixels), byte),
            "status": ((8,), single),
            "trajectory": ((y.num_poses, 3), single),
            "agent_states": ((y.num_agents, 5), single),
            "agent_labels": ((y.num_agents,), np.dtype(np.bool_)),
            "bev_semantic": ((y.bev_rows, y.bev_columns), byte),
        }

    @property
    def num_bytes(self) -> int:
        """Size of the arrays on disk."""
        per_scene = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in self.columns.values())
        return per_scene * len(self.tokens)

    def folder(self, parent: Path) -> Path:
        """Where the cache of this spec lives."""
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in self.source)[:40]
        return parent / f"{name}-{self.key[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """Some scenes as stored: cheap to slice and to move to a device, turned into the network's tensors there."""

    camera: Tensor
    """[B, H, W, 3] uint8."""

    lidar: Tensor
    """[B, C, Hl, Wl] uint8 counts."""

    status: Tensor
    trajectory: Tensor
    agent_states: Tensor
    agent_labels: Tensor
    bev_semantic: Tensor
    """[B, Hb, Wb] uint8."""

    def __len__(self) -> int:
        return int(self.status.shape[0])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PackedBatch:
        """Move every tensor to ``device``."""
        return PackedBatch(
            **{f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in dataclasses.fields(self)}
        )

    def inputs(self, layout: InputLayout) -> PlannerInputs:
        """What the network sees: floats in 0..1. The camera tensor is channels-last in memory."""
        return PlannerInputs(
            camera=self.camera.permute(0, 3, 1, 2).float().mul_(1.0 / 255.0),
            lidar=self.lidar.float().mul_(1.0 / layout.lidar_max_count),
            status=self.status,
        )

    def targets(self) -> PlannerTargets:
        """What the losses compare with."""
        return PlannerTargets(
            trajectory=self.trajectory,
            agent_states=self.agent_states,
            agent_labels=self.agent_labels,
            bev_semantic=self.bev_semantic.long(),
        )


def pack(inputs: PlannerInputs, targets: PlannerTargets, layout: InputLayout) -> PackedBatch:
    """The stored form of built features. Exact for LiDAR and targets; cameras are rounded to 1/255."""
    return PackedBatch(
        camera=inputs.camera.mul(255.0).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1),
        lidar=inputs.lidar.mul(layout.lidar_max_count).round().to(torch.uint8),
        status=inputs.status.float(),
        trajectory=targets.trajectory.float(),
        agent_states=targets.agent_states.float(),
        agent_labels=targets.agent_labels,
        bev_semantic=targets.bev_semantic.to(torch.uint8),
    )


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
        if len(self.locations) != len(self.spec.tokens):
            raise InputError(
                f"Feature cache '{folder}' names {len(self.locations)} locations for {len(self.spec.tokens)} scenes. "
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
    missing = {"key", "inputs", "targets", "source", "tokens", "locations"} - set(index if isinstance(index, dict) else ())
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
