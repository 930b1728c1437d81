"""Find the logs below a 123D data root, missing none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffdrive.contracts import InputError


def find_logs(root: Path) -> tuple[Path, ...]:
    """Every log folder below ``root``/logs, sorted by split and name.

    Raises ``InputError`` when ``root`` is no 123D data root, when it has no log, and for a folder that should be a log but
    has no sync table: an interrupted copy must not look like a smaller data set.
    """
    logs = Path(root) / "logs"
    if not logs.is_dir():
        raise InputError(
            f"'{root}' is not a 123D data root: it has no folder 'logs'. Give the folder that holds logs/ and maps/."
        )
    found = tuple(sorted(_walk(logs, depth=0)))
    if not found:
        raise InputError(f"'{logs}' holds no log. A log is a folder <split>/<log name> with a sync.arrow in it.")
    return found


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / "sync.arrow").is_file():
        yield folder
        return
    below = [child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")]
    if any(folder.glob("*.arrow")) or (depth >= 2 and not below):
        raise InputError(f"Log '{folder}' has no sync.arrow, so it is incomplete. Copy it again, or remove the folder.")
    for child in below:
        yield from _walk(child, depth + 1)
