"""Scenes of driving logs with rendered sensors: images and sweeps are drawn when first asked for and kept on disk."""

from __future__ import annotations

import logging
import os
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.scene import Modality, Scene, VectorMap
from diffdrive.sources.arrow123d import Arrow123dSource, SceneInfo
from diffdrive.vehicle import VehicleDimensions
from diffdrive.world.conditions import conditions_of
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR, Camera, LidarRig, Studio, Town, build_town, town_seed
from diffdrive.world.render.archive import Sensors, pack, unpack
from diffdrive.world.render.studio import motion_of, sweep_errors
from diffdrive.world.sensor_key import MapDigests, sensor_key

_log = logging.getLogger(__name__)
_TOWNS_KEPT = 24


class WorldSource:
    """An ``Arrow123dSource`` whose scenes get cameras and a LiDAR, implementing ``scene.SceneSource``.

    Logs that hold images and sweeps keep theirs. Everything rendered is a function of the scene's present, the map and the
    location's name: sources with other windows share a cache. Travels to other processes (pickle); each opens its own
    renderer. With ``fork``, load no sensors in the parent first: an OpenGL context does not survive it.
    """

    def __init__(
        self,
        root: Path,
        *,
        cache: Path | None = None,
        renderer: str = "auto",
        rig: Sequence[Camera] = NUPLAN_FRONT_RIG,
        lidar: LidarRig = NUPLAN_LIDAR,
        **options: Any,
    ) -> None:
        """``root`` and ``options`` as for ``Arrow123dSource``; ``cache`` is a folder for rendered sensors.

        Raises ``InputError`` for bad roots and options. The renderer opens with the first scene that needs it.
        """
        if renderer not in ("auto", "gl", "embree"):
            raise InputError(f"renderer must be 'auto', 'gl' or 'embree', got '{renderer}'.")
        self.logs = Arrow123dSource(root, **options)
        """The same scenes as the logs hold them."""
        self.cache = None if cache is None else Path(cache)
        self.rig, self.lidar = tuple(rig), lidar
        self._renderer = renderer
        self._forget()

    def _forget(self) -> None:
        self._studio: Studio | None = None
        self._studio_process = -1
        self._towns: OrderedDict[str, Town] = OrderedDict()
        self._digests = MapDigests()

    def __getstate__(self) -> dict[str, Any]:
        kept = ("logs", "cache", "rig", "lidar", "_renderer")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def name(self) -> str:
        """The data sets' names."""
        return self.logs.name

    @property
    def modalities(self) -> frozenset[Modality]:
        """What the logs offer, and with maps also what can be rendered."""
        offered = self.logs.modalities
        return offered | {Modality.CAMERAS, Modality.LIDAR} if Modality.MAP in offered else offered

    @property
    def tokens(self) -> Sequence[str]:
        """Sorted by split, log and time."""
        return self.logs.tokens

    @property
    def renderer_description(self) -> str:
        """Name and device of what draws the cameras, for reports. Opens it, if no scene has needed it yet."""
        renderer = self._open_studio().renderer
        return f"{renderer.name} ({renderer.device})"

    def info(self, token: str) -> SceneInfo:
        """Where the scene is. Cheap. Raises ``InputError`` for an unknown token."""
        return self.logs.info(token)

    def vehicle(self, token: str) -> VehicleDimensions:
        """The ego vehicle that drove the scene."""
        return self.logs.vehicle(token)

    def world_map(self, token: str) -> VectorMap:
        """The whole map around the scene in the world frame."""
        return self.logs.world_map(token)

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        """The scene, with sensors recorded or rendered unless ``sensors`` is false.

        Raises ``InputError`` for an unknown token, unreadable data, and a scene without a map that would need rendering.
        """
        scene = self.logs.load(token, sensors=sensors)
        seen = scene.observation
        if not sensors or (seen.cameras and seen.lidar is not None):
            return scene
        made = self._rendered(token, scene)
        observation = replace(
            seen, cameras=seen.cameras or made.cameras, lidar=seen.lidar if seen.lidar is not None else made.lidar
        )
        return replace(scene, observation=observation)

    def rendered(self, token: str) -> Sensors:
        """What the world's sensors see of a scene, recorded ones or not. Raises ``InputError`` as ``load`` does."""
        return self._rendered(token, self.logs.load(token, sensors=False))

    def keep(self, token: str) -> bool:
        """Put the rendered sensors of a scene into the cache; false where they were there already.

        Raises ``InputError`` as ``load`` does, and without a cache.
        """
        if self.cache is None:
            raise InputError("Sensors can be kept in a cache only. Open the source with one: WorldSource(root, cache=DIR).")
        scene = self.logs.load(token, sensors=False)
        path = self._path(self.cache, token, scene)
        # The directory of a zip file comes last: where it is there, the file is whole.
        if zipfile.is_zipfile(path):
            return False
        _write(path, self._draw(token, scene))
        return True

    def town(self, token: str) -> Town:
        """The static world around a scene; the towns used last stay in memory."""
        world_map = self.logs.world_map(token)
        location = self.logs.info(token).location
        key = f"{location} {self._digests.of(world_map)}"
        if key not in self._towns:
            self._towns[key] = build_town(location, world_map, seed=town_seed(location))
            if len(self._towns) > _TOWNS_KEPT:
                self._towns.popitem(last=False)
        self._towns.move_to_end(key)
        return self._towns[key]

    def _rendered(self, token: str, scene: Scene) -> Sensors:
        if self.cache is None:
            return unpack(self._draw(token, scene), self.rig, self.lidar)
        path = self._path(self.cache, token, scene)
        if path.is_file():
            try:
                return unpack(path.read_bytes(), self.rig, self.lidar)
            except (OSError, ValueError) as error:
                _log.warning("Rendering scene %s again, its cache file %s is damaged: %s", token, path.name, error)
        content = self._draw(token, scene)
        _write(path, content)
        return unpack(content, self.rig, self.lidar)

    def _path(self, cache: Path, token: str, scene: Scene) -> Path:
        digest = self._digests.of(self._map(token))
        key = sensor_key(scene, digest, self.rig, self.lidar)
        return cache / key[:2] / f"{key}-{self._open_studio().renderer.name}.npz"

    def _draw(self, token: str, scene: Scene) -> bytes:
        self._map(token)
        light, errors = conditions_of(scene.log_name), sweep_errors(scene)
        shot = self._open_studio().shoot(self.town(token), scene, errors, conditions=light, rig=self.rig, lidar=self.lidar)
        return pack(shot.cameras, shot.lidar_steps, motion_of(scene))

    def _map(self, token: str) -> VectorMap:
        world_map = self.logs.world_map(token)
        if not world_map.lanes and not world_map.areas:
            raise InputError(
                f"Scene '{token}' has no map, so its sensors cannot be rendered. "
                "Load it with sensors=False, or use logs that hold a map or sensors."
            )
        return world_map

    def _open_studio(self) -> Studio:
        # A forked child cannot use its parent's OpenGL context.
        if self._studio is None or self._studio_process != os.getpid():
            self._studio, self._studio_process = Studio(self._renderer), os.getpid()
        return self._studio


def _write(path: Path, content: bytes) -> None:
    with written_aside(path) as aside:
        aside.write_bytes(content)
