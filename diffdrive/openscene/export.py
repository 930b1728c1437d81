"""Whole logs into one folder: maps, log pickles and sensor files, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import folder_written_aside
from diffdrive.openscene.blobs import image_path, lidar_path, no_image_path, write_image, write_no_image, write_points
from diffdrive.openscene.city_map import Row, Sheet, layers_of, sheets_of
from diffdrive.openscene.format import BLOBS_FOLDER, CITIES, FRAME_INTERVAL_S, LAYERS, LOGS_FOLDER, MAPS_FOLDER, token_of
from diffdrive.openscene.frames import frame_of, write_frames
from diffdrive.openscene.geopackage import require_writers, write_maps
from diffdrive.openscene.route import blocks_along
from diffdrive.scene import CameraId, Scene, VectorMap

RECORD_FILE = "export.json"
_TOLERANCE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogToExport:
    """One log, frame by frame."""

    name: str
    split: str
    """The folder to write to."""

    location: str
    vector_map: VectorMap
    """The whole map in the log's world frame. Logs with equal maps share one."""

    route: tuple[str, ...]
    """A lane of each group of lanes that the log's route leads through, in order."""

    tokens: tuple[str, ...]
    """Of frames half a second apart."""

    load: Callable[[str], Scene]
    """Gives the frame of a token, with its sensors if they are wanted."""


def export_logs(
    logs: Sequence[LogToExport],
    folder: Path,
    *,
    city: str,
    sensors: bool = True,
    tell: Callable[[int, Scene], None] = lambda done, scene: None,
) -> None:
    """Write ``logs`` as NAVSIM data into ``folder``, which must not hold anything yet. It appears when all is written.

    ``tell`` is called with the number of frames done, and the last of them. Raises ``InputError`` for an unknown city, a folder
    that is in use, two logs of one name, a log without a map and one whose frames are not half a second apart.
    """
    if city not in CITIES:
        raise InputError(f"The devkit knows no city called '{city}'. Choose one of: {', '.join(CITIES)}.")
    _check(logs)
    require_writers()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"'{folder}' exists already. Remove it, or write to another folder.")
    keys = [_digest(log.vector_map) for log in logs]
    maps = {key: log.vector_map for key, log in zip(keys, logs, strict=True)}
    placed, numbers = sheets_of(list(maps.values()), CITIES[city])
    sheets = dict(zip(maps, placed, strict=True))
    done = 0
    with folder_written_aside(folder) as aside:
        for log, key in zip(logs, keys, strict=True):
            done = _write_log(log, sheets[key], aside, city=city, sensors=sensors, tell=tell, done=done)
        layers: dict[str, list[Row]] = {name: [] for name in LAYERS}
        for sheet in sheets.values():
            for name, rows in layers_of(sheet, numbers).items():
                layers[name] += rows
        write_maps(aside / MAPS_FOLDER, city, layers)
        (aside / RECORD_FILE).write_text(json.dumps(_record(logs, keys, sheets, city), indent=1) + "\n")


def _check(logs: Sequence[LogToExport]) -> None:
    if not logs:
        raise InputError("There is no log to export.")
    names = [log.name for log in logs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"Two logs are called {', '.join(twice)}; the format tells logs apart by name. Choose one split.")
    if without := [log.name for log in logs if not log.vector_map.lanes]:
        raise InputError(f"The devkit needs a map, and there is none for log {', '.join(without)}. Choose other logs.")


def _write_log(
    log: LogToExport,
    sheet: Sheet,
    folder: Path,
    *,
    city: str,
    sensors: bool,
    tell: Callable[[int, Scene], None],
    done: int,
) -> int:
    """Returns how many frames are done then."""
    route = blocks_along(sheet.graph, log.route)
    blobs = folder / BLOBS_FOLDER / log.split
    frames: list[dict[str, Any]] = []
    absent: set[CameraId] = set()
    for token in log.tokens:
        scene = log.load(token)
        frames.append(frame_of(scene, sheet, city=city, route=route))
        sheet.signals.update(light.lane_id for light in scene.traffic_lights)
        if sensors:
            absent |= set(CameraId) - set(scene.observation.cameras)
            _write_blobs(blobs, scene)
        done += 1
        tell(done, scene)
    _check_times(log.name, [frame["timestamp"] for frame in frames])
    for camera in absent:
        write_no_image(blobs / no_image_path(log.name, camera))
    write_frames(folder / LOGS_FOLDER / log.split / f"{log.name}.pkl", frames)
    return done


def _check_times(name: str, times_us: Sequence[int]) -> None:
    steps = np.diff(np.array(times_us, dtype=np.float64) * 1e-6)
    wrong = np.flatnonzero(np.abs(steps - FRAME_INTERVAL_S) > _TOLERANCE_S)
    if len(wrong):
        raise InputError(
            f"Log '{name}' has {steps[wrong[0]]:.2f} s between frames {wrong[0]} and {wrong[0] + 1}, and the format knows "
            f"frames {FRAME_INTERVAL_S} s apart only. Cut the log where it has gaps."
        )


def _write_blobs(folder: Path, scene: Scene) -> None:
    token = token_of(scene.token)
    for camera, frame in scene.observation.cameras.items():
        write_image(folder / image_path(scene.log_name, camera, token), frame)
    if scene.observation.lidar is not None:
        write_points(folder / lidar_path(scene.log_name, token), scene.observation.lidar)


def _record(logs: Sequence[LogToExport], keys: Sequence[str], sheets: dict[str, Sheet], city: str) -> dict[str, Any]:
    """What became of what: enough to find an exported place or frame in the logs again."""
    return {
        "city": city,
        "logs": {
            log.name: {
                "split": log.split,
                "location": log.location,
                "shift_m": sheets[key].shift.tolist(),
                "frames": {token_of(token): token for token in log.tokens},
            }
            for log, key in zip(logs, keys, strict=True)
        },
    }


def _digest(vector_map: VectorMap) -> str:
    digest = hashlib.sha256()
    for lane in vector_map.lanes:
        digest.update(f"{lane.lane_id} {lane.successor_ids} {lane.lane_group_id} {lane.intersection_id}".encode())
        digest.update(lane.centerline.tobytes() + lane.polygon.tobytes())
    for area in vector_map.areas:
        digest.update(f"{area.area_id} {area.kind.value} {area.lane_ids}".encode() + area.outline.tobytes())
    return digest.hexdigest()
