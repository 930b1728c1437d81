"""From a configuration to a scene source, and to a name that changes when the source's scenes would."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.scene import SceneSource
from diffdrive.training.config import SourceConfig, SourceKind

_SAMPLE_BYTES = 1 << 16


def open_source(config: SourceConfig) -> SceneSource:
    """The source that ``config`` names. Raises ``InputError`` where there are no logs."""
    options: dict[str, Any] = {"splits": config.splits or None, "stride_s": config.stride_s}
    if config.kind is SourceKind.ARROW123D:
        from diffdrive.sources.arrow123d import Arrow123dSource

        return Arrow123dSource(_root(config), **options)
    from diffdrive.world.source import WorldSource

    return WorldSource(_root(config), cache=config.render_cache, renderer=config.renderer, **options)


def source_identity(source: SceneSource, config: SourceConfig) -> str:
    """Name of the source, digest of its files and, for rendered scenes, what draws them."""
    parts = [source.name, files_digest(_root(config))[:12]]
    if config.kind is SourceKind.WORLD:
        from diffdrive.world.render import SPEC_VERSION

        parts.append(f"render-{SPEC_VERSION}-{config.renderer}")
    return " ".join(parts)


def files_digest(root: Path) -> str:
    """Of the path, size, first and last 64 kB of every file below ``root``: cheap, and different when logs are made anew."""
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(root)} {size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(size - _SAMPLE_BYTES, 0))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _root(config: SourceConfig) -> Path:
    if config.root is not None:
        return config.root
    if config.kind is SourceKind.ARROW123D:
        raise InputError("data.source.root must name the folder of the 123D logs.")
    from diffdrive.assets import LOGS

    return LOGS
