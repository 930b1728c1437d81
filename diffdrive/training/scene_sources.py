"""From a configuration to a scene source, and to a name that changes when the source's scenes would."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.scene import SceneSource
from diffdrive.sources.openscene_log import OpenSceneLogSource
from diffdrive.training.config import SourceConfig, SourceKind

_SAMPLE_BYTES = 1 << 16


def open_source(config: SourceConfig, *, future_s: float = 4.0, map_radius_m: float = 120.0) -> SceneSource:
    """The source that ``config`` names. Raises ``InputError`` where there are no logs.

    Scenes hold ``future_s`` of future: with more of it a log's last scenes are no scenes, and all others are the same.
    """
    if config.kind is SourceKind.OPENSCENE:
        return _open_openscene(config, future_s, map_radius_m)
    options: dict[str, Any] = {"splits": config.splits or None, "stride_s": config.stride_s}
    options |= {"future_s": future_s, "map_radius_m": map_radius_m}
    if config.kind is SourceKind.ARROW123D:
        from diffdrive.sources.arrow123d import Arrow123dSource

        return Arrow123dSource(_root(config), **options)
    from diffdrive.world.source import WorldSource

    return WorldSource(_root(config), cache=config.render_cache, renderer=config.renderer, **options)


def _open_openscene(config: SourceConfig, future_s: float, map_radius_m: float) -> OpenSceneLogSource:
    from diffdrive.openscene.scene_filter import read_scene_filter

    if len(config.splits) > 1:
        raise InputError(f"NAVSIM data are read one split at a time, got data.source.splits = {list(config.splits)}.")
    options: dict[str, Any] = {"stride_s": config.stride_s, "future_s": future_s}
    if config.scene_filter is not None:
        options = read_scene_filter(config.scene_filter).options(future_s=future_s)
    return OpenSceneLogSource(
        _root(config),
        split=config.splits[0] if config.splits else None,
        sensors_folder=config.sensors,
        maps_folder=config.maps,
        index=config.log_index,
        across_gaps=config.across_gaps,
        map_radius_m=map_radius_m,
        **options,
    )


def source_identity(source: SceneSource, config: SourceConfig) -> str:
    """Name of the source, digest of its files and, for rendered scenes, what draws them."""
    if isinstance(source, OpenSceneLogSource):
        return f"{source.name} {source.fingerprint()[:12]}"
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
    if config.kind is not SourceKind.WORLD:
        raise InputError(f"data.source.root must name the folder of the logs where data.source.kind is {config.kind.value}.")
    from diffdrive.assets import LOGS

    return LOGS
