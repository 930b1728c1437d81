"""Which scenes, how they are kept, split and handed to the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.training.config.sources import SourceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which scenes, how they are split, and how they reach the network."""

    source: SourceConfig = field(default_factory=SourceConfig)
    cache: Path = Path("out/features")
    """Feature caches live here, one folder per (layouts, source, scenes)."""

    features: Path | None = None
    """One finished feature cache to use as it is, without looking at ``source``; only its layouts must fit the planner."""

    max_scenes: int | None = None
    """Use at most this many scenes, evenly spread over the source."""

    batch_size: int = 64
    """Per device."""

    validation_locations: tuple[str, ...] = ()
    """Maps whose scenes validate. Empty: ``validation_fraction`` of the maps, drawn with the run's seed."""

    validation_fraction: float = 0.1
    exclude_locations: tuple[str, ...] = ()
    """Maps that must stay unseen, for evaluation after training."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.max_scenes is not None and self.max_scenes < 1):
            raise InputError(
                f"DataConfig: batch_size and max_scenes must be positive, got {self.batch_size}, {self.max_scenes}."
            )
        if not 0.0 <= self.validation_fraction <= 1.0:
            raise InputError(f"DataConfig.validation_fraction must lie in [0, 1], got {self.validation_fraction}.")
