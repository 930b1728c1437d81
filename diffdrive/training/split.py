"""Which scenes train, which validate, which stay unseen. Scenes of one map share roads, so whole maps are moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.training.config import DataConfig


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the cache."""

    train: np.ndarray
    """[N] int64."""

    validation: np.ndarray
    """[M] int64, from maps that ``train`` never sees."""


def split_by_location(locations: Sequence[str], config: DataConfig, *, seed: int) -> Split:
    """Split rows by their map's name.

    Raises ``InputError`` for a named map that no scene has, and when nothing is left to train on.
    """
    known = sorted(set(locations))
    for name in (*config.validation_locations, *config.exclude_locations):
        if name not in known:
            raise InputError(f"No scene has location '{name}'. Locations here: {', '.join(known)}.")
    usable = [name for name in known if name not in config.exclude_locations]
    validation = set(config.validation_locations) or _draw(usable, config.validation_fraction, seed)
    rows = np.arange(len(locations))
    is_validation = np.array([name in validation and name in usable for name in locations], dtype=bool)
    is_train = np.array([name in usable and name not in validation for name in locations], dtype=bool)
    if not is_train.any():
        raise InputError(
            f"No scene is left to train on: of {len(known)} locations, {len(config.exclude_locations)} are excluded and "
            f"{len(validation)} validate. Use logs of more maps, or name data.validation_locations."
        )
    return Split(rows[is_train], rows[is_validation])


def _draw(names: list[str], fraction: float, seed: int) -> set[str]:
    if fraction == 0.0 or not names:
        return set()
    count = max(1, round(fraction * len(names)))
    return set(np.random.default_rng(seed).permutation(names)[:count].tolist())
