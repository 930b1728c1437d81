"""What was made, from what, with what: one JSON file per town, beside the logs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.world.fingerprint import generator_fingerprint

PACKAGES = ("diffdrive", "eclipse-sumo", "libsumo", "py123d", "numpy", "shapely")


def manifest_path(root: Path, location: str) -> Path:
    """Where the manifest of a town lies below a data root."""
    return root / "manifests" / f"{location}.json"


def versions() -> dict[str, str]:
    """Installed versions of what shapes the data; '-' for what is not installed. The generator itself by its fingerprint."""
    found = {"generator": generator_fingerprint()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "-"
    return found


def write_manifest(path: Path, values: Mapping[str, Any]) -> None:
    """Write aside, then rename: a manifest that is there says that its town is complete."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


def read_manifest(path: Path) -> dict[str, Any]:
    """Raises ``InputError`` where the file is missing or is not a manifest."""
    try:
        values = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"Manifest '{path}' cannot be read: {error}. Generate the town again in an empty folder.") from error
    if not isinstance(values, dict) or "seed" not in values:
        raise InputError(f"'{path}' is not a town's manifest. Generate the town again in an empty folder.")
    return values
