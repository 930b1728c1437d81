"""What the network begins with, instead of random weights. Nothing is ever downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialConfig:
    """Where a run's first weights come from. What no file gives is drawn from the run's seed."""

    image_encoder: Path | None = None
    """A timm classifier (.pth, .bin or .safetensors) of the image encoder's architecture. The public model begins with
    ``resnet34.a1_in1k`` and a random LiDAR encoder."""

    checkpoint: Path | None = None
    """Folder of an exported planner to go on from: all its weights, and its anchors and box unless the run names others."""

    perception: Path | None = None
    """Folder of an exported planner to take everything from but the decoder."""

    def __post_init__(self) -> None:
        given = [name for name in ("image_encoder", "checkpoint", "perception") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"InitialConfig: {' and '.join(given)} give the same weights. Leave only one of them.")
