"""What a feature cache is a function of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdrive.configuration import to_mapping
from diffdrive.tensors import InputLayout, TargetLayout

FORMAT_VERSION = 2
FEATURES_VERSION = 1
"""Raise it when ``diffdrive.features`` computes different numbers: caches made before are then built again."""


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
            "rig": ((3, 18), single),
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
