"""Which scenes, how they are kept, split and handed to the network."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.training.config.sources import SourceConfig


class SplitBy(enum.Enum):
    """What is on one side of the split as a whole."""

    LOCATION = "location"
    """Maps: validation drives on roads that training never saw."""

    LOG = "log"
    """Recordings, as NAVSIM's public split: the roads may be known, the drive is not."""


class OnBadScene(enum.Enum):
    """What becomes of a scene that cannot be read, from its source or from the cache."""

    STOP = "stop"
    """The build, or the run, ends and names the scene."""

    SKIP = "skip"
    """A cache is built without it, and lists it. For a scene that a cache holds but cannot give, training takes another one,
    always the same, and validation leaves it out; both are counted and named. More than 1 % of an epoch stops the run all the
    same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which scenes, how they are split, and how they reach the network."""

    source: SourceConfig = field(default_factory=SourceConfig)
    cache: Path = Path("out/features")
    """Feature caches live here, one folder per (layouts, source, scenes)."""

    features: Path | None = None
    """One finished feature cache to use as it is, without looking at ``source``; only its layouts must fit the planner."""

    image_quality: int | None = None
    """Keep camera pictures as JPEGs of this quality (1 to 100); the cache then states what that changed. None loses nothing."""

    max_scenes: int | None = None
    """Use at most this many scenes, evenly spread over the source."""

    batch_size: int = 64
    """Per device."""

    workers: int = 0
    """Processes that read batches ahead, for each device. 0 reads them between the steps, which is enough for small images."""

    on_bad_scene: OnBadScene = OnBadScene.STOP

    split_by: SplitBy = SplitBy.LOCATION
    validation_fraction: float = 0.1
    """Share of the maps or logs that validate, drawn with the run's seed, unless they are named."""

    validation_locations: tuple[str, ...] = ()
    """Maps whose scenes validate."""

    validation_logs: tuple[str, ...] = ()
    """Logs whose scenes validate."""

    log_lists: Path | None = None
    """A YAML file with ``train_logs`` and ``val_logs``, such as the devkit's default_train_val_test_log_split.yaml. Scenes of
    logs in neither list are left out; logs without scenes do not matter."""

    exclude_locations: tuple[str, ...] = ()
    """Maps that must stay unseen, for evaluation after training."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.max_scenes is not None and self.max_scenes < 1):
            raise InputError(
                f"DataConfig: batch_size and max_scenes must be positive, got {self.batch_size}, {self.max_scenes}."
            )
        if self.image_quality is not None and not 1 <= self.image_quality <= 100:
            raise InputError(f"DataConfig.image_quality is a JPEG quality from 1 to 100, got {self.image_quality}.")
        if not 0.0 <= self.validation_fraction <= 1.0:
            raise InputError(f"DataConfig.validation_fraction must lie in [0, 1], got {self.validation_fraction}.")
        if self.workers < 0:
            raise InputError(f"DataConfig.workers must not be negative, got {self.workers}.")
        by_log = {"validation_logs": bool(self.validation_logs), "log_lists": self.log_lists is not None}
        foreign = {"validation_locations": bool(self.validation_locations)} if self.split_by is SplitBy.LOG else by_log
        for name, is_set in foreign.items():
            if is_set:
                raise InputError(
                    f"DataConfig.{name} does nothing with split_by = {self.split_by.value}. Change one of the two."
                )
        if all(by_log.values()):
            raise InputError("DataConfig.validation_logs and log_lists both say which logs validate. Give one of them.")
