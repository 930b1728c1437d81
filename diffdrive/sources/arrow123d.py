"""Scenes of any 123D data root: real recordings and the logs of the embedded world alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline, invert_transform, to_local
from diffdrive.log123d.find import find_logs
from diffdrive.log123d.read import BOXES_KEY, LIDAR_KEY, LIGHTS_KEY, LogReader, camera_key
from diffdrive.scene import (
    CameraId,
    DrivingCommand,
    Future,
    Modality,
    Observation,
    Scene,
    Trajectory,
    VectorMap,
    command_from_route,
)
from diffdrive.sources.frames import agents_in_frame, ego_in_frame
from diffdrive.sources.map_index import MapIndex
from diffdrive.sources.summaries import LogSummary, SceneInfo
from diffdrive.sources.windows import SceneWindow
from diffdrive.vehicle import VehicleDimensions

PLANNED_ROUTE_DATASETS = frozenset({"drivetown"})
"""Data sets whose logs are known to store the route that was planned before driving (the embedded world's own)."""

PLANNER_CAMERAS = (CameraId.L0, CameraId.F0, CameraId.R0)
"""The cameras a scene must have to count as having ``Modality.CAMERAS``."""

# Shuffled reading keeps this many logs and maps open; more are closed again, oldest first.
_MAX_OPEN = 64

K = TypeVar("K")
V = TypeVar("V")


class Arrow123dSource:
    """Scenes cut from the logs below ``root`` (which holds logs/ and maps/), implementing ``scene.SceneSource``.

    A scene has ``history_s`` of past and ``future_s`` of future in steps of ``interval_s``; presents lie ``stride_s`` apart.
    Tokens are ``<log name>-<timestamp in microseconds>``. A log that cannot be read raises; it is never left out.

    Routes: py123d stores a log's own driven path as its route unless the writer gave one. A driven path is never handed
    out, and no command is derived from it. A given route counts as planned for the data sets in ``PLANNED_ROUTE_DATASETS``,
    or for every data set with ``planned_routes=True``, or for none with ``planned_routes=False``.
    """

    def __init__(
        self,
        root: Path,
        *,
        datasets: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
        logs: Sequence[str] | None = None,
        interval_s: float = 0.5,
        history_s: float = 1.5,
        future_s: float = 4.0,
        stride_s: float = 0.5,
        map_radius_m: float = 120.0,
        planned_routes: bool | None = None,
    ) -> None:
        """Index the logs. Raises ``InputError`` for a bad root, a damaged log, and names that match no log."""
        self.root = Path(root)
        self.window = SceneWindow(interval_s=interval_s, history_s=history_s, future_s=future_s, stride_s=stride_s)
        self.map_radius_m = map_radius_m
        self._planned_routes = planned_routes
        self._clear_caches()
        self.logs = self._select(datasets, splits, logs)
        """What each log offers, sorted by split and name."""
        self._infos = {info.token: (info, log) for log in self.logs for info in log.scenes}
        if len(self._infos) != sum(len(log.scenes) for log in self.logs):
            raise InputError(f"'{root}' has two logs of one name in different splits. Choose one split with splits=[...].")

    def require(self, *modalities: Modality) -> None:
        """Raise ``InputError`` naming every log whose scenes lack one of ``modalities``."""
        for modality in modalities:
            if lacking := [log.log_name for log in self.logs if log.scenes and modality not in log.modalities]:
                shown = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
                raise InputError(
                    f"'{self.root}' lacks {modality.value} in {len(lacking)} of {len(self.logs)} logs ({shown}). "
                    "Choose other logs, or render sensors for logs of the embedded world."
                )

    def _select(
        self, datasets: Sequence[str] | None, splits: Sequence[str] | None, logs: Sequence[str] | None
    ) -> tuple[LogSummary, ...]:
        found = [self._open(folder) for folder in find_logs(self.root)]
        for name, wanted, given in (
            ("data set", datasets, {log.dataset for log in found}),
            ("split", splits, {log.split for log in found}),
            ("log", logs, {log.name for log in found}),
        ):
            if missing := sorted(set(wanted or ()) - given):
                known = ", ".join(sorted(given)) or "nothing"
                raise InputError(f"'{self.root}' has no {name} called {', '.join(missing)}. It has: {known}.")
        kept = [
            log
            for log in found
            if (datasets is None or log.dataset in datasets)
            and (splits is None or log.split in splits)
            and (logs is None or log.name in logs)
        ]
        return tuple(self._summary(log) for log in kept)

    def _clear_caches(self) -> None:
        self._readers: OrderedDict[Path, LogReader] = OrderedDict()
        self._maps: OrderedDict[Path, MapIndex] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        # What is open and converted is large and quickly made again: another process opens its own.
        return {key: value for key, value in self.__dict__.items() if key not in ("_readers", "_maps")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear_caches()

    @property
    def name(self) -> str:
        """The data sets' names."""
        return "+".join(sorted({log.dataset for log in self.logs})) or "123d"

    @property
    def modalities(self) -> frozenset[Modality]:
        """What every scene has (when loaded with sensors)."""
        offered = [log.modalities for log in self.logs if log.scenes]
        return frozenset.intersection(*offered) if offered else frozenset()

    @property
    def tokens(self) -> tuple[str, ...]:
        """Sorted by split, log and time."""
        return tuple(self._infos)

    def info(self, token: str) -> SceneInfo:
        """Where the scene is. Cheap. Raises ``InputError`` for an unknown token."""
        return self._entry(token)[0]

    def vehicle(self, token: str) -> VehicleDimensions:
        """The ego vehicle that drove the scene."""
        return self._open(self._entry(token)[1].folder).vehicle

    def world_map(self, token: str) -> VectorMap:
        """The whole map around the scene in the world frame; the same object for all scenes that share it."""
        return self._map(self._open(self._entry(token)[1].folder)).vector_map

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        """The scene, in the ego frame at t = 0. Raises ``InputError`` for an unknown token and unreadable data."""
        info, summary = self._entry(token)
        log = self._open(summary.folder)
        now, step = info.iteration, self.window.step(log.interval_s)
        body_from_world = invert_transform(log.world_from_body(now))
        world_from_ego = log.ego(now).pose
        past = [now - k * step for k in range(self.window.num_history, 0, -1)]
        route = self._route(log, now, world_from_ego)
        has_boxes = bool(log.has(BOXES_KEY).any())
        return Scene(
            token=token,
            log_name=info.log_name,
            location=info.location,
            world_from_ego=world_from_ego,
            observation=Observation(
                ego_history=tuple(ego_in_frame(log.ego(i), world_from_ego) for i in [*past, now]),
                command=command_from_route(route) if route is not None else DrivingCommand.UNKNOWN,
                cameras=log.cameras(now) if sensors else {},
                lidar=log.lidar(now) if sensors else None,
            ),
            agents=agents_in_frame(log.agents(now), world_from_ego, body_from_world),
            vector_map=self._map(log).around(world_from_ego, self.map_radius_m) if log.has_map else VectorMap(),
            traffic_lights=log.traffic_lights(now),
            route=route,
            past_agents=tuple(agents_in_frame(log.agents(i), world_from_ego, body_from_world) for i in past)
            if has_boxes
            else (),
            future=self._future(log, now, step, world_from_ego, body_from_world),
        )

    def _future(
        self, log: LogReader, now: int, step: int, world_from_ego: np.ndarray, body_from_world: np.ndarray
    ) -> Future | None:
        ahead = [now + k * step for k in range(1, self.window.num_future + 1)]
        if not ahead:
            return None
        has_lights = bool(log.has(LIGHTS_KEY).any())
        return Future(
            ego=Trajectory(to_local(np.array([log.ego(i).pose for i in ahead]), world_from_ego), self.window.interval_s),
            agents=tuple(agents_in_frame(log.agents(i), world_from_ego, body_from_world) for i in ahead),
            traffic_lights=tuple(log.traffic_lights(i) for i in ahead) if has_lights else (),
        )

    def _planned_route(self, log: LogReader) -> np.ndarray | None:
        planned = log.dataset in PLANNED_ROUTE_DATASETS if self._planned_routes is None else self._planned_routes
        return log.provided_route if planned else None

    def _route(self, log: LogReader, now: int, world_from_ego: np.ndarray) -> np.ndarray | None:
        """[K, 2] what is left of the planned route, in the ego frame, or None."""
        whole = self._planned_route(log)
        if whole is None or len(whole) < 2:
            return None
        line = Polyline(whole)
        arc = log.route_progress(now)
        here = line.project(world_from_ego[:2])[0] if arc is None else min(arc, line.length)
        left = np.concatenate([line.interpolate(here)[None, :2], line.points[line.arc > here + 1e-6]])
        return to_local(left, world_from_ego) if len(left) > 1 else None

    def _summary(self, log: LogReader) -> LogSummary:
        presents = self.window.presents(log.timestamps_us)
        return LogSummary(
            folder=log.folder,
            log_name=log.name,
            dataset=log.dataset,
            split=log.split,
            location=log.location,
            duration_s=float(log.timestamps_us[-1] - log.timestamps_us[0]) * 1e-6,
            modalities=self._log_modalities(log, presents),
            scenes=tuple(
                SceneInfo(
                    token=f"{log.name}-{log.timestamps_us[i]}",
                    log_name=log.name,
                    dataset=log.dataset,
                    split=log.split,
                    location=log.location,
                    iteration=int(i),
                    timestamp_us=int(log.timestamps_us[i]),
                )
                for i in presents
            ),
        )

    def _log_modalities(self, log: LogReader, presents: np.ndarray) -> frozenset[Modality]:
        def everywhere(key: str) -> bool:
            return bool(log.has(key)[presents].all())

        has = {
            Modality.CAMERAS: all(everywhere(camera_key(camera)) for camera in PLANNER_CAMERAS),
            Modality.LIDAR: everywhere(LIDAR_KEY),
            Modality.AGENTS: everywhere(BOXES_KEY),
            Modality.MAP: log.has_map,
            Modality.TRAFFIC_LIGHTS: everywhere(LIGHTS_KEY),
            Modality.ROUTE: self._planned_route(log) is not None
            and all(self._route(log, int(i), log.ego(int(i)).pose) is not None for i in presents),
            Modality.FUTURE: self.window.num_future > 0,
        }
        return frozenset(modality for modality, is_there in has.items() if is_there)

    def _entry(self, token: str) -> tuple[SceneInfo, LogSummary]:
        if token not in self._infos:
            raise InputError(
                f"'{self.root}' has no scene '{token}'. List its {len(self._infos)} scenes: diffdrive scenes --logs {self.root}"
            )
        return self._infos[token]

    def _open(self, folder: Path) -> LogReader:
        return _cached(self._readers, folder, lambda: LogReader(folder, self.root))

    def _map(self, log: LogReader) -> MapIndex:
        return _cached(self._maps, log.map_file or log.folder, lambda: MapIndex(log.vector_map()))


def _cached(cache: OrderedDict[K, V], key: K, make: Callable[[], V]) -> V:
    if key not in cache:
        cache[key] = make()
        if len(cache) > _MAX_OPEN:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]
