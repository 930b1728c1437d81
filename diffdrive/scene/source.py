"""Where scenes come from: one protocol that every data set and every generator speaks."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from diffdrive.scene.scene import Scene


class Modality(enum.Enum):
    """What a source can put into its scenes."""

    CAMERAS = "cameras"
    LIDAR = "lidar"
    AGENTS = "agents"
    MAP = "map"
    TRAFFIC_LIGHTS = "traffic_lights"
    ROUTE = "route"
    FUTURE = "future"


@runtime_checkable
class SceneSource(Protocol):
    """A collection of scenes, addressed by token. ``tests/unit/scene/source_conformance.py`` states what must hold."""

    @property
    def name(self) -> str:
        """A short name for logs and tables."""

    @property
    def modalities(self) -> frozenset[Modality]:
        """What every scene of this source has (when loaded with sensors)."""

    @property
    def tokens(self) -> Sequence[str]:
        """Every scene's token, in a fixed order."""

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        """The scene called ``token``; without ``sensors``, images and sweeps are left out, which is much faster.

        Raises ``InputError`` for an unknown token and for data that cannot be read.
        """
