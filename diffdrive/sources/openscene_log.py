"""Scenes of NAVSIM data: OpenScene log pickles, sensor blobs and nuPlan maps, read without the devkit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local, to_world
from diffdrive.geometry.se2 import rotate
from diffdrive.openscene.format import FRAME_INTERVAL_S
from diffdrive.openscene.log_index import LogIndex, index_log, log_files
from diffdrive.openscene.read_blobs import read_image, read_points
from diffdrive.openscene.read_log import LogReader
from diffdrive.scene import (
    Agents,
    CameraFrame,
    CameraId,
    Future,
    LidarSweep,
    Modality,
    Observation,
    Scene,
    Trajectory,
    VectorMap,
)
from diffdrive.sources.arrow123d import PLANNER_CAMERAS
from diffdrive.sources.frames import ego_in_frame
from diffdrive.sources.map_index import MapIndex
from diffdrive.sources.openscene_choice import SceneChoice
from diffdrive.sources.openscene_folders import find_folders
from diffdrive.sources.summaries import LogSummary, SceneInfo
from diffdrive.sources.windows import SceneWindow

DATASET = "navsim"

# A log of half an hour takes a third of a second to read and some 60 MB; scenes are mostly read log by log.
_MAX_OPEN_LOGS = 4


class OpenSceneLogSource:
    """Scenes cut from the logs of one split, implementing ``scene.SceneSource``. Tokens are NAVSIM's, of the present frame.

    A scene is a run of frames: ``history_s`` of past, the present and ``future_s`` of future, one every half second; presents
    lie ``stride_s`` apart (NAVSIM's ``frame_interval`` times 0.5 s).

    Time: a scene's future is evenly spaced, but logs lack frames here and there, and NAVSIM takes neighbouring entries of a log
    for half a second apart whatever their times. Here a scene is left out where a frame is more than 0.1 s from where it should
    be, unless ``across_gaps`` asks for NAVSIM's way. Times of the past are always the recorded ones.

    Images are as recorded: nuPlan's lens distortion is left in, as NAVSIM's agents see it. The LiDAR frame stands for the ego
    frame, as it does there.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        split: str | None = None,
        logs_folder: Path | None = None,
        sensors_folder: Path | None = None,
        maps_folder: Path | None = None,
        index: Path | None = None,
        logs: Collection[str] | None = None,
        tokens: Collection[str] | None = None,
        has_route: bool = True,
        history_s: float = 1.5,
        future_s: float = 4.0,
        stride_s: float = FRAME_INTERVAL_S,
        across_gaps: bool = False,
        cameras: Collection[CameraId] = PLANNER_CAMERAS,
        map_radius_m: float = 120.0,
    ) -> None:
        """Index the logs of ``root``/navsim_logs/``split`` (the only split, if there is but one).

        ``logs_folder``, ``sensors_folder`` and ``maps_folder`` each replace a folder below ``root``. ``index`` is a folder that
        keeps what was found in the logs, for faster starts. ``logs`` (names of files, without .pkl) and ``tokens`` choose
        scenes; ``has_route=False`` also takes those whose present lists no road block.

        Raises ``InputError`` for folders that are not there, logs that cannot be read, and for names in ``logs`` and ``tokens``
        that give no scene.
        """
        self.folders = find_folders(root, split, logs=logs_folder, sensors=sensors_folder, maps=maps_folder)
        self.map_radius_m, self.cameras = map_radius_m, tuple(cameras)
        self._choice = SceneChoice(
            window=SceneWindow(interval_s=FRAME_INTERVAL_S, history_s=history_s, future_s=future_s, stride_s=stride_s),
            has_route=has_route,
            across_gaps=across_gaps,
            tokens=None if tokens is None else frozenset(tokens),
        )
        self._clear_caches()
        self._logs = _indexed(self.folders.logs, logs, None if index is None else Path(index) / self.split)
        self._places = self._choice.places(self._logs)

    def _clear_caches(self) -> None:
        self._readers: OrderedDict[Path, LogReader] = OrderedDict()
        self._maps: dict[str, MapIndex] = {}

    def __getstate__(self) -> dict[str, Any]:
        # What is open is large and quickly read again: another process opens its own.
        return {key: value for key, value in self.__dict__.items() if key not in ("_readers", "_maps")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear_caches()

    @property
    def split(self) -> str:
        """The name of the folder that holds the logs."""
        return self.folders.logs.name

    @property
    def name(self) -> str:
        """The data set and the split."""
        return f"{DATASET}-{self.split}"

    @property
    def modalities(self) -> frozenset[Modality]:
        """What every scene has: map and sensors where their folders are there, a route where scenes without are left out."""
        has = {
            Modality.CAMERAS: self.folders.sensors is not None and set(PLANNER_CAMERAS) <= set(self.cameras),
            Modality.LIDAR: self.folders.sensors is not None,
            Modality.AGENTS: True,
            Modality.MAP: self.folders.maps is not None,
            Modality.TRAFFIC_LIGHTS: True,
            Modality.ROUTE: self._choice.has_route,
            Modality.FUTURE: self._choice.window.num_future > 0,
        }
        return frozenset(modality for modality, is_there in has.items() if is_there)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Sorted by log and time."""
        return tuple(self._places)

    @property
    def logs(self) -> tuple[LogSummary, ...]:
        """What each log offers, sorted by name. Made anew by every call."""
        scenes: list[list[SceneInfo]] = [[] for _ in self._logs]
        for token, (number, _) in self._places.items():
            scenes[number].append(self.info(token))
        return tuple(self._summary(log, own) for log, own in zip(self._logs, scenes, strict=True))

    def _summary(self, log: LogIndex, scenes: Sequence[SceneInfo]) -> LogSummary:
        return LogSummary(
            folder=log.path,
            log_name=log.name,
            dataset=DATASET,
            split=self.split,
            location=log.city,
            duration_s=float(log.timestamps_us[-1] - log.timestamps_us[0]) * 1e-6,
            modalities=self.modalities,
            scenes=tuple(scenes),
        )

    def require(self, *modalities: Modality) -> None:
        """Raise ``InputError`` for the first of ``modalities`` that the source lacks."""
        for modality in modalities:
            if modality not in self.modalities:
                raise InputError(
                    f"The logs in '{self.folders.logs}' come without {modality.value}. Sensors are looked for beside them in "
                    "sensor_blobs/<split>, maps in maps/; name other folders if they are elsewhere."
                )

    def info(self, token: str) -> SceneInfo:
        """Where the scene is. Cheap. Raises ``InputError`` for an unknown token."""
        log, frame = self._place(token)
        return SceneInfo(
            token=token,
            log_name=log.name,
            dataset=DATASET,
            split=self.split,
            location=log.city,
            iteration=frame,
            timestamp_us=int(log.timestamps_us[frame]),
        )

    def fingerprint(self) -> str:
        """A digest of logs, maps and each log's first images and sweep, quick for any amount of data."""
        first: dict[int, int] = {}
        for number, frame in self._places.values():
            first.setdefault(number, frame)
        names = []
        for number, frame in first.items() if self.folders.sensors is not None else ():
            log = LogReader(self._logs[number].path)
            records = [log.camera(frame, camera) for camera in self.cameras]
            names += [log.lidar_path(frame) or "", *(record.image_path for record in records if record is not None)]
        return self.folders.fingerprint([log.path for log in self._logs], names)

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        """The scene, in the ego frame at t = 0. Raises ``InputError`` for an unknown token and unreadable data."""
        index, now = self._place(token)
        log = self._open(index.path)
        world_from_ego, route = log.ego(now).pose, log.route(now)
        past = range(now - self._choice.window.num_history, now)
        return Scene(
            token=token,
            log_name=index.name,
            location=index.city,
            world_from_ego=world_from_ego,
            observation=self._observation(log, now, past, sensors=sensors),
            agents=log.agents(now),
            vector_map=self._around(index.city, world_from_ego, route),
            traffic_lights=log.traffic_lights(now),
            route_group_ids=route,
            past_agents=tuple(_agents_seen_from(log, i, now) for i in past),
            future=self._future(log, now),
        )

    def _observation(self, log: LogReader, now: int, past: Sequence[int], *, sensors: bool) -> Observation:
        world_from_ego = log.ego(now).pose
        folder = self.folders.sensors if sensors else None
        history = tuple(ego_in_frame(log.ego(i), world_from_ego) for i in (*past, now))
        try:
            return Observation(
                ego_history=history,
                command=log.command(now),
                cameras={} if folder is None else self._images(log, now, folder),
                lidar=None if folder is None else _sweep(log, now, folder),
            )
        except InputError as error:
            raise InputError(f"The scene at frame {now} of log '{log.path}' cannot be loaded. {error}") from error

    def _images(self, log: LogReader, now: int, folder: Path) -> dict[CameraId, CameraFrame]:
        found = {}
        for camera in self.cameras:
            record = log.camera(now, camera)
            if record is not None:
                image = read_image(folder / record.image_path)
                found[camera] = CameraFrame(image=image, intrinsics=record.intrinsics, ego_from_camera=record.ego_from_camera)
            elif camera in PLANNER_CAMERAS:
                raise InputError(f"It has no camera {camera.name}, or not its calibration. Load it without sensors.")
        return found

    def _future(self, log: LogReader, now: int) -> Future | None:
        ahead = range(now + 1, now + 1 + self._choice.window.num_future)
        if not ahead:
            return None
        poses = np.array([log.ego(i).pose for i in ahead])
        return Future(
            ego=Trajectory(to_local(poses, log.ego(now).pose), FRAME_INTERVAL_S),
            agents=tuple(_agents_seen_from(log, i, now) for i in ahead),
            traffic_lights=tuple(log.traffic_lights(i) for i in ahead),
        )

    def _place(self, token: str) -> tuple[LogIndex, int]:
        if token not in self._places:
            raise InputError(
                f"'{self.folders.logs}' has no scene '{token}'. List its {len(self._places)} scenes: "
                "diffdrive scenes --source openscene --tokens"
            )
        number, frame = self._places[token]
        return self._logs[number], frame

    def _open(self, path: Path) -> LogReader:
        if path not in self._readers:
            self._readers[path] = LogReader(path)
            if len(self._readers) > _MAX_OPEN_LOGS:
                self._readers.popitem(last=False)
        self._readers.move_to_end(path)
        return self._readers[path]

    def _around(self, city: str, pose: np.ndarray, route: Sequence[str]) -> VectorMap:
        if self.folders.maps is None:
            return VectorMap()
        if city not in self._maps:
            from diffdrive.openscene.read_map import city_map

            self._maps[city] = MapIndex(city_map(self.folders.maps, city))
        return self._maps[city].around(pose, self.map_radius_m, route=route)


def _indexed(folder: Path, names: Collection[str] | None, kept: Path | None) -> tuple[LogIndex, ...]:
    files = {path.stem: path for path in log_files(folder)}
    wanted = set(files if names is None else names)
    if missing := sorted(wanted - files.keys()):
        raise InputError(
            f"'{folder}' lacks {len(missing)} of the {len(wanted)} logs that were asked for, for example {missing[0]}.pkl. "
            f"Of {len(files)} logs it has, none is called so: copy all of the split, or choose another."
        )
    return tuple(index_log(path, kept) for name, path in files.items() if name in wanted)


def _sweep(log: LogReader, now: int, folder: Path) -> LidarSweep:
    path = log.lidar_path(now)
    if path is None:
        raise InputError("It has no LiDAR sweep: its lidar_path is None. Leave the scene out, or load it without sensors.")
    return LidarSweep(points=read_points(folder / path))


def _agents_seen_from(log: LogReader, frame: int, now: int) -> Agents:
    """The agents of ``frame`` in the ego frame of ``now``."""
    agents, there, here = log.agents(frame), log.ego(frame).pose, log.ego(now).pose
    climb = log.height_m(frame) - log.height_m(now)
    return Agents(
        track_tokens=agents.track_tokens,
        kinds=agents.kinds,
        boxes=np.concatenate([to_local(to_world(agents.boxes[:, :3], there), here), agents.boxes[:, 3:]], axis=1),
        vertical=agents.vertical + [climb, 0.0],
        velocities=rotate(agents.velocities, float(there[2] - here[2])),
    )
