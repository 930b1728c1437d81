"""What choosing scenes needs to know of a log, kept on disk so that logs need not be read again at every start.

navtrain's logs are 14 GB of pickles. One small JSON file for each log holds what is in here; it counts as long as the log has
the size and the time of its last change that it had then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.openscene.read_log import LogReader

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIndex:
    """The frames of one log, N of them."""

    path: Path
    name: str
    """As its frames give it."""

    city: str
    """Its map."""

    tokens: tuple[str, ...]
    timestamps_us: np.ndarray
    """[N] int64."""

    has_route: np.ndarray
    """[N] bool: whether the frame lists any road block."""


def log_files(folder: Path) -> tuple[Path, ...]:
    """The logs of a split, sorted by name. Raises ``InputError`` where there is none."""
    found = tuple(sorted(folder.glob("*.pkl")))
    if not found:
        raise InputError(f"'{folder}' holds no NAVSIM log (*.pkl). Give the folder whose subfolder navsim_logs/<split> does.")
    return found


def index_log(path: Path, kept: Path | None) -> LogIndex:
    """The index of the log at ``path``: from ``kept``, a folder for such indices, or made and put there.

    Raises ``InputError`` for a log that cannot be read, and whose frames are of several maps.
    """
    state = path.stat()
    identity = {"version": _VERSION, "path": str(path.resolve()), "size": state.st_size, "modified_ns": state.st_mtime_ns}
    file = None if kept is None else kept / f"{path.stem}.json"
    if file is not None and (found := _stored(file, identity)) is not None:
        return _from_json(path, found)
    made = _read(path)
    if file is not None:
        with written_aside(file) as aside:
            aside.write_text(json.dumps({**identity, **made}))
    return _from_json(path, made)


def _stored(file: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    try:
        stored = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    is_current = isinstance(stored, dict) and identity.items() <= stored.items()
    return stored if is_current else None


def _read(path: Path) -> dict[str, Any]:
    log = LogReader(path)
    frames = range(len(log))
    cities = {log.city(i) for i in frames}
    if len(cities) > 1:
        raise InputError(f"Log '{path}' drives in {' and '.join(sorted(cities))}. A log has one map; cut it in two.")
    return {
        "name": log.log_name(0),
        "city": cities.pop(),
        "tokens": [log.token(i) for i in frames],
        "timestamps_us": [log.timestamp_us(i) for i in frames],
        "has_route": [int(bool(log.route(i))) for i in frames],
    }


def _from_json(path: Path, found: dict[str, Any]) -> LogIndex:
    return LogIndex(
        path=path,
        name=found["name"],
        city=found["city"],
        tokens=tuple(found["tokens"]),
        timestamps_us=np.array(found["timestamps_us"], dtype=np.int64),
        has_route=np.array(found["has_route"], dtype=bool),
    )
