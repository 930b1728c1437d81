"""Where the parts of a NAVSIM data set lie, and a name for what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.openscene.format import BLOBS_FOLDER, LOGS_FOLDER, MAP_FILE, MAP_INDEX, MAPS_FOLDER

_SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSceneFolders:
    """The folders of one split."""

    logs: Path
    """Holds the pickles. Its name is the split's."""

    sensors: Path | None
    """Where the paths of images and sweeps begin; None where there are none."""

    maps: Path | None
    """Holds ``nuplan-maps-v1.0.json``; None where there are none."""

    def fingerprint(self, logs: Iterable[Path], sensor_files: Iterable[str]) -> str:
        """A digest of ``logs`` and of the maps (sizes, first and last 64 kB) and of the sizes of ``sensor_files``.

        navtrain's sensor files are 445 GB: to look at a few of them is quick, and tells one rendering from another.
        """
        digest = hashlib.sha256()
        maps = [] if self.maps is None else [self.maps / MAP_INDEX, *sorted(self.maps.glob(f"*/*/{MAP_FILE}"))]
        for path in (*logs, *(path for path in maps if path.is_file())):
            digest.update(f"{path.parent.name}/{path.name} {path.stat().st_size}".encode() + _ends(path))
        for name in sensor_files if self.sensors is not None else ():
            path = self.sensors / name  # type: ignore[operator]
            digest.update(f"{name} {path.stat().st_size if path.is_file() else 'absent'}".encode())
        return digest.hexdigest()


def find_folders(
    root: Path | None, split: str | None, *, logs: Path | None = None, sensors: Path | None = None, maps: Path | None = None
) -> OpenSceneFolders:
    """NAVSIM's own layout below ``root``; ``logs``, ``sensors`` and ``maps`` each replace a folder of it.

    Below ``root`` sensors and maps may be absent. Raises ``InputError`` for a folder that is not there, and for several splits
    of which none is named.
    """
    found = _logs_folder(root, split) if logs is None else _there(logs, "logs")
    return OpenSceneFolders(
        logs=found,
        sensors=_there(sensors, "sensor files") if sensors else _maybe(root, BLOBS_FOLDER, found.name),
        maps=_there(maps, "maps") if maps else _maybe(root, MAPS_FOLDER),
    )


def _logs_folder(root: Path | None, split: str | None) -> Path:
    if root is None:
        raise InputError("NAVSIM data need a root (OPENSCENE_DATA_ROOT of the devkit) or the folder of the logs.")
    parent = Path(root) / LOGS_FOLDER
    splits = sorted(path.name for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
    if not splits:
        raise InputError(
            f"'{root}' is no NAVSIM data root: it has no {LOGS_FOLDER}/<split>/. Give the folder that holds {LOGS_FOLDER}."
        )
    if split is None and len(splits) > 1:
        raise InputError(f"'{root}' has several splits: {', '.join(splits)}. Choose one.")
    if split is not None and split not in splits:
        raise InputError(f"'{root}' has no split '{split}'. It has: {', '.join(splits)}.")
    return parent / (split or splits[0])


def _there(folder: Path, what: str) -> Path:
    if not Path(folder).is_dir():
        raise InputError(f"The folder of the {what} does not exist: '{folder}'.")
    return Path(folder)


def _maybe(root: Path | None, *parts: str) -> Path | None:
    folder = None if root is None else Path(root, *parts)
    return folder if folder is not None and folder.is_dir() else None


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        beginning = file.read(_SAMPLE_BYTES)
        file.seek(max(path.stat().st_size - _SAMPLE_BYTES, 0))
        return beginning + file.read(_SAMPLE_BYTES)
