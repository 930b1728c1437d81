"""What a feature cache is a function of."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffdrive.configuration import to_mapping
from diffdrive.contracts import InputError
from diffdrive.tensors import InputLayout, TargetLayout

FORMAT_VERSION = 3
FEATURES_VERSION = 1
"""Raise it when ``diffdrive.features`` computes different numbers: caches made before are then built again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSpec:
    """What a cache is a function of. Equal specs hold equal samples."""

    inputs: InputLayout
    targets: TargetLayout
    source: str
    """Identity of the source: changes when its scenes would change."""

    tokens: tuple[str, ...]
    """Scenes, one row each, in this order."""

    image_quality: int | None = None
    """None keeps every grey level. A number from 1 to 100 keeps the camera picture as a JPEG of that quality instead."""

    def __post_init__(self) -> None:
        if self.image_quality is not None and not 1 <= self.image_quality <= 100:
            raise InputError(f"CacheSpec.image_quality is a JPEG quality from 1 to 100, got {self.image_quality}.")

    @property
    def key(self) -> str:
        """A hash of everything above and of the versions of the code that computes it."""
        made_of = [FORMAT_VERSION, FEATURES_VERSION, to_mapping(self.inputs), to_mapping(self.targets), self.source]
        text = json.dumps([*made_of, self.tokens, self.image_quality])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of the camera picture."""
        return (self.inputs.camera_height, self.inputs.camera_width, 3)

    @property
    def record(self) -> np.dtype:
        """What is kept of a scene beside its picture."""
        x, y = self.inputs, self.targets
        columns = [
            ("lidar", np.uint8, (1, x.lidar_pixels, x.lidar_pixels)),
            ("status", np.float32, (8,)),
            ("rig", np.float32, (3, 18)),
            ("trajectory", np.float32, (y.num_poses, 3)),
            ("agent_states", np.float32, (y.num_agents, 5)),
            ("agent_labels", np.bool_, (y.num_agents,)),
            ("bev_semantic", np.uint8, (y.bev_rows, y.bev_columns)),
        ]
        return np.dtype(columns)

    @property
    def raw_bytes(self) -> int:
        """Size of one scene in memory."""
        return math.prod(self.image_shape) + self.record.itemsize

    def folder(self, parent: Path) -> Path:
        """Where the cache of this spec lives."""
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in self.source)[:40]
        return parent / f"{name}-{self.key[:12]}"
