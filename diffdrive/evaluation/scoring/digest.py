"""Fingerprints: of a scene's facts, and of the code that judges it."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.scene import Scene

JUDGES = ("diffdrive.scoring", "diffdrive.vehicle", "diffdrive.geometry")
"""Packages whose code decides what a score is."""


def scene_digest(scene: Scene) -> str:
    """32 hex digits that change with any fact of ``scene`` except its images and sweeps, and with nothing else."""
    blind = dataclasses.replace(scene, observation=dataclasses.replace(scene.observation, cameras={}, lidar=None))
    digest = hashlib.sha256()
    for part in _parts(blind):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()[:32]


@cache
def code_digest() -> str:
    """12 hex digits over the source of ``JUDGES``: scores of different code must not be mixed.

    Read once: files that change while a process runs do not change what it runs.
    """
    digest = hashlib.sha256()
    for package in JUDGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _parts(value: Any) -> Iterator[bytes]:
    """The content of a value as bytes, the same in every process."""
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif dataclasses.is_dataclass(value):
        yield type(value).__name__.encode()
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, tuple | list):
        yield f"{len(value)}[".encode()
        for item in value:
            yield from _parts(item)
    elif isinstance(value, enum.Enum):
        yield str(value.value).encode()
    else:
        yield repr(value).encode()
