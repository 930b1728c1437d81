"""Which scenes train, which validate, which stay unseen.

Scenes of one log are nearly the same, and scenes of one map share roads, so logs or whole maps are moved, never scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.training.config.data import DataConfig, SplitBy


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the cache."""

    train: np.ndarray
    """[N] int64."""

    validation: np.ndarray
    """[M] int64, from maps or logs that ``train`` never sees."""


def split_rows(locations: Sequence[str], log_names: Sequence[str], config: DataConfig, *, seed: int) -> Split:
    """Split rows by their map or their log, as ``config.split_by`` says; rows of excluded maps are on neither side.

    Raises ``InputError`` for a named map or log that no scene has, and when nothing is left to train on.
    """
    places = np.array(locations)
    _known("location", config.exclude_locations, set(locations))
    rows = np.flatnonzero(~np.isin(places, config.exclude_locations))
    if config.split_by is SplitBy.LOCATION:
        names, chosen = places[rows], config.validation_locations
        _known("location", chosen, set(locations))
    else:
        names, chosen = np.array(log_names)[rows], config.validation_logs
        _known("log", chosen, set(log_names))
    if config.log_lists is not None:
        training_logs, validation_logs = read_log_lists(config.log_lists)
        is_train, is_validation = np.isin(names, training_logs), np.isin(names, validation_logs)
    else:
        validation = list(chosen or _draw(sorted(set(names.tolist())), config.validation_fraction, seed))
        is_validation = np.isin(names, validation)
        is_train = ~is_validation
    if not is_train.any():
        raise InputError(_nothing_left(config, len(set(names.tolist()))))
    return Split(rows[is_train], rows[is_validation])


def read_log_lists(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the training and of the validation logs in a YAML file of NAVSIM's kind. Other lists in it are not read.

    Raises ``InputError`` for a file without both lists and for a log that is on both.
    """
    import yaml

    try:
        # Text alone: the name of a log may look like a number. The C parser is twenty times as fast.
        values = yaml.load(path.read_text(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The lists of logs '{path}' cannot be read: {error}") from error
    train, validation = (_names(path, values, key) for key in ("train_logs", "val_logs"))
    if both := sorted(set(train) & set(validation)):
        raise InputError(f"'{path}' puts {len(both)} logs on both sides of the split, for example '{both[0]}'.")
    return train, validation


def _names(path: Path, values: Any, key: str) -> tuple[str, ...]:
    names = values.get(key) if isinstance(values, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"'{path}' must hold a list of names called {key}, as the devkit's split of training logs does.")
    return tuple(names)


def _known(kind: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            some = sorted(known)
            listed = ", ".join(some[:20]) + (f" and {len(some) - 20} more" if len(some) > 20 else "")
            raise InputError(f"No scene has {kind} '{name}'. Here there are: {listed}.")


def _nothing_left(config: DataConfig, num_names: int) -> str:
    what = config.split_by.value
    if config.log_lists is not None:
        return f"No scene is left to train on: none is of a log in train_logs of '{config.log_lists}'."
    return (
        f"No scene is left to train on: {len(config.exclude_locations)} locations are excluded, and what is left, {num_names} "
        f"{what}s, validates. Use scenes of more {what}s, or name data.validation_{what}s."
    )


def _draw(names: list[str], fraction: float, seed: int) -> list[str]:
    if fraction == 0.0 or not names:
        return []
    count = max(1, round(fraction * len(names)))
    return np.random.default_rng(seed).permutation(names)[:count].tolist()
