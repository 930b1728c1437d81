"""A hash of what a town holds: the same for the same map and drives, however and wherever they were written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from diffdrive.log123d.write import LogRecord
from diffdrive.scene import VectorMap

GRAIN = 1000.0
"""Real numbers count in thousandths: millimetres, milliradians, mm/s."""

_LEFT_OUT = {("LogRecord", "sensors"), ("Lane", "outline"), ("VectorMap", "convention")}
"""Sensors follow from the rest. The others are facts that these types learnt after the benchmarks were hashed; the world's maps
never state them. A field that a type learns from now on belongs here too, or every hash changes."""


def content_hash(vector_map: VectorMap, logs: Iterable[LogRecord]) -> str:
    """32 hex digits over the map and the logs, sensors left out: they follow from the rest."""
    digest = hashlib.sha256()
    for value in (vector_map, *logs):
        for part in _parts(value):
            digest.update(part)
            digest.update(b"\0")
    return digest.hexdigest()[:32]


def _parts(value: Any) -> Iterator[bytes]:
    """The facts of a value, one after the other: numbers in grains, everything else as text."""
    if isinstance(value, (np.ndarray, float, np.floating)):
        numbers = np.asarray(value)
        yield repr(numbers.shape).encode()
        yield _whole(numbers).tobytes()
    elif isinstance(value, (Mapping, tuple, list)):
        yield repr(len(value)).encode()
        for item in sorted(value.items()) if isinstance(value, Mapping) else value:
            yield from _parts(item)
    elif is_dataclass(value):
        for item in fields(value):
            if (type(value).__name__, item.name) not in _LEFT_OUT:
                yield from _parts(getattr(value, item.name))
    else:
        yield repr(value).encode()


def _whole(values: np.ndarray) -> np.ndarray:
    """Whole numbers: rounding in grains leaves no sign on a zero."""
    if values.dtype.kind == "f":
        return np.round(values.astype(np.float64) * GRAIN).astype("<i8")
    return values.astype("<i8") if values.dtype.kind in "iub" else values
