"""Prepared scenes on disk: numpy archives without pickles, safe to load from anywhere."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.scoring_scene import DrivableMap, RedLights, ScoringScene, Tracks

FORMAT_VERSION = 1
"""Counts up whenever what is stored, or what ``prepare`` puts there, changes: older files are made again."""

_HEADER = "header"


def save_scoring_scene(path: Path, scene: ScoringScene) -> None:
    """Write ``scene`` to ``path``. A crash leaves the old file, or none: the new one is written aside and renamed."""
    header = {
        "version": FORMAT_VERSION,
        "token": scene.token,
        "log_name": scene.log_name,
        "protocol": scene.protocol.value,
        "corrected": scene.corrected,
        "timestamp_us": scene.timestamp_us,
        "track_tokens": list(scene.tracks.tokens),
    }
    arrays = {
        "ego_state": scene.ego_state,
        "past_states": scene.past_states,
        "track_corners": scene.tracks.corners,
        "track_is_present": scene.tracks.is_present,
        "track_centroids": scene.tracks.centroids,
        "track_is_agent": scene.tracks.is_agent,
        "track_speeds": scene.tracks.speeds,
        **_packed("map", scene.drivable_map.polygons),
        "map_types": scene.drivable_map.types,
        "map_on_route": scene.drivable_map.on_route,
        **_packed("red", scene.red_lights.polygons),
        "red_is_red": scene.red_lights.is_red,
        "centerline": scene.centerline,
        "reference": scene.reference,
    }
    if scene.human_reference is not None:
        arrays["human_reference"] = scene.human_reference
    text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{_HEADER: text}, **arrays)


def load_scoring_scene(path: Path) -> ScoringScene:
    """Read a scene. Raises ``InputError`` for a file that is missing, damaged, or of another version."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop(_HEADER).tobytes())
        if header["version"] != FORMAT_VERSION:
            raise InputError(
                f"'{path}' has version {header['version']} and this diffdrive reads {FORMAT_VERSION}. Prepare the scene again."
            )
        return _scene(header, arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError) and "version" in str(error):
            raise
        raise InputError(
            f"'{path}' is no prepared scene ({type(error).__name__}: {error}). Prepare the scene again."
        ) from error


@dataclass(frozen=True, slots=True)
class PreparedScenes:
    """A folder that remembers prepared scenes."""

    folder: Path

    def get(self, key: Mapping[str, Any], make: Callable[[], ScoringScene]) -> ScoringScene:
        """The scene stored under ``key`` (anything JSON holds: what the scene was made from), or the one that ``make`` makes.

        A damaged file or one of another version is made again.
        """
        path = self.path(key)
        if path.is_file():
            try:
                return load_scoring_scene(path)
            except InputError:
                path.unlink(missing_ok=True)
        scene = make()
        save_scoring_scene(path, scene)
        return scene

    def path(self, key: Mapping[str, Any]) -> Path:
        """Where the scene of ``key`` lies."""
        text = json.dumps({"version": FORMAT_VERSION, **key}, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.npz"


def _packed(name: str, polygons: Polygons) -> dict[str, np.ndarray]:
    return {f"{name}_vertices": polygons.vertices, f"{name}_offsets": polygons.offsets}


def _polygons(name: str, arrays: Mapping[str, np.ndarray]) -> Polygons:
    return Polygons(vertices=arrays[f"{name}_vertices"], offsets=arrays[f"{name}_offsets"])


def _scene(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ScoringScene:
    return ScoringScene(
        token=header["token"],
        log_name=header["log_name"],
        protocol=Protocol(header["protocol"]),
        corrected=header["corrected"],
        timestamp_us=header["timestamp_us"],
        ego_state=arrays["ego_state"],
        past_states=arrays["past_states"],
        tracks=Tracks(
            tokens=tuple(header["track_tokens"]),
            corners=arrays["track_corners"],
            is_present=arrays["track_is_present"],
            centroids=arrays["track_centroids"],
            is_agent=arrays["track_is_agent"],
            speeds=arrays["track_speeds"],
        ),
        drivable_map=DrivableMap(polygons=_polygons("map", arrays), types=arrays["map_types"], on_route=arrays["map_on_route"]),
        red_lights=RedLights(polygons=_polygons("red", arrays), is_red=arrays["red_is_red"]),
        centerline=arrays["centerline"],
        reference=arrays["reference"],
        human_reference=arrays.get("human_reference"),
    )
