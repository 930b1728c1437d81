"""What a log offers and where a scene is, without loading any scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffdrive.scene import Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneInfo:
    """Where a scene is, without loading it."""

    token: str
    log_name: str
    dataset: str
    split: str
    location: str
    iteration: int
    """Row of the log's sync table that is t = 0."""

    timestamp_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSummary:
    """What one log offers."""

    folder: Path
    log_name: str
    dataset: str
    split: str
    location: str
    duration_s: float
    modalities: frozenset[Modality]
    """What every scene of this log has."""

    scenes: tuple[SceneInfo, ...]
    """May be empty: a log shorter than one scene."""
