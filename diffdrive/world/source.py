"""Scenes of driving logs with rendered sensors: images and sweeps are drawn when first asked for and kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.scene import Modality, Scene, VectorMap
from diffdrive.sources.arrow123d import Arrow123dSource, SceneInfo
from diffdrive.vehicle import VehicleDimensions
from diffdrive.world.conditions import conditions_of
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR, SPEC_VERSION, Studio, Town, build_town, town_seed
from diffdrive.world.render.archive import Sensors, pack, unpack

_log = logging.getLogger(__name__)
_TOWNS_KEPT = 24
_MAPS_KNOWN = 128


class WorldSource:
    """An ``Arrow123dSource`` whose scenes get three front cameras and a LiDAR, implementing ``scene.SceneSource``.

    Logs that hold images and sweeps keep theirs. Everything rendered is a function of the scene, the map and the
    location's name. Travels to other processes (pickle); each opens its own renderer. With ``fork``, load no sensors in
    the parent first: an OpenGL context does not survive it.
    """

    def __init__(self, root: Path, *, cache: Path | None = None, renderer: str = "auto", **options: Any) -> None:
        """``root`` and ``options`` as for ``Arrow123dSource``; ``cache`` is a folder for rendered sensors.

        Raises ``InputError`` for bad roots and options. The renderer opens with the first scene that needs it.
        """
        if renderer not in ("auto", "gl", "embree"):
            raise InputError(f"renderer must be 'auto', 'gl' or 'embree', got '{renderer}'.")
        self.logs = Arrow123dSource(root, **options)
        """The same scenes as the logs hold them."""
        self.cache = None if cache is None else Path(cache)
        self._renderer = renderer
        self._forget()

    def _forget(self) -> None:
        self._studio: Studio | None = None
        self._studio_process = -1
        self._towns: OrderedDict[str, Town] = OrderedDict()
        self._map_digests: dict[int, tuple[VectorMap, str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        kept = ("logs", "cache", "_renderer")
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
        made = self._sensors(token, scene)
        observation = replace(
            seen, cameras=seen.cameras or made.cameras, lidar=seen.lidar if seen.lidar is not None else made.lidar
        )
        return replace(scene, observation=observation)

    def town(self, token: str) -> Town:
        """The static world around a scene; the towns used last stay in memory."""
        world_map = self.logs.world_map(token)
        digest = self._map_digest(world_map)
        location = self.logs.info(token).location
        key = f"{location} {digest}"
        if key not in self._towns:
            self._towns[key] = build_town(location, world_map, seed=town_seed(location))
            if len(self._towns) > _TOWNS_KEPT:
                self._towns.popitem(last=False)
        self._towns.move_to_end(key)
        return self._towns[key]

    def _sensors(self, token: str, scene: Scene) -> Sensors:
        studio = self._open_studio()
        content_key = self._key(token, scene)
        path = None if self.cache is None else self.cache / content_key[:2] / f"{content_key}-{studio.renderer.name}.npz"
        if path is not None and path.is_file():
            try:
                return unpack(path.read_bytes(), NUPLAN_FRONT_RIG)
            except (OSError, ValueError) as error:
                _log.warning("Rendering scene %s again, its cache file %s is damaged: %s", token, path.name, error)
        rng = np.random.default_rng(int(content_key[:16], 16))
        light = conditions_of(scene.log_name)
        shot = studio.shoot(self.town(token), scene, rng, conditions=light, rig=NUPLAN_FRONT_RIG, lidar=NUPLAN_LIDAR)
        content = pack(Sensors(cameras=shot.cameras, lidar=shot.lidar))
        if path is not None:
            with written_aside(path) as aside:
                aside.write_bytes(content)
        return unpack(content, NUPLAN_FRONT_RIG)

    def _open_studio(self) -> Studio:
        # A forked child cannot use its parent's OpenGL context.
        if self._studio is None or self._studio_process != os.getpid():
            self._studio, self._studio_process = Studio(self._renderer), os.getpid()
        return self._studio

    def _key(self, token: str, scene: Scene) -> str:
        """Hash of everything that the sensors of a scene depend on, the renderer's name aside."""
        agents = scene.agents
        world_map = self.logs.world_map(token)
        if not world_map.lanes and not world_map.areas:
            raise InputError(
                f"Scene '{token}' has no map, so its sensors cannot be rendered. "
                "Load it with sensors=False, or use logs that hold a map or sensors."
            )
        names = [
            f"look {SPEC_VERSION}", repr(NUPLAN_FRONT_RIG), repr(NUPLAN_LIDAR), repr(conditions_of(scene.log_name)),
            scene.location, self._map_digest(world_map),
            *agents.track_tokens, *(kind.value for kind in agents.kinds),
            *(f"{light.lane_id}={light.state.value}" for light in scene.traffic_lights),
        ]  # fmt: skip
        return _digest(names, [scene.world_from_ego, agents.boxes, agents.vertical])

    def _map_digest(self, world_map: VectorMap) -> str:
        known = self._map_digests.get(id(world_map))
        if known is None:
            names: list[str] = []
            arrays: list[np.ndarray] = []
            for lane in world_map.lanes:
                names.append(
                    f"{lane.lane_id} {lane.intersection_id} {lane.left_lane_id} {lane.right_lane_id} {lane.is_bike_lane}"
                )
                arrays += [lane.centerline, lane.left_boundary, lane.right_boundary]
            for area in world_map.areas:
                names.append(f"{area.area_id} {area.kind.value} {area.lane_ids}")
                arrays.append(area.outline)
            for line in world_map.lines:
                names.append(line.kind.value)
                arrays.append(line.points)
            if len(self._map_digests) >= _MAPS_KNOWN:
                self._map_digests.clear()
            # Keeping the map beside its digest keeps its id from being given to another map.
            known = self._map_digests[id(world_map)] = (world_map, _digest(names, arrays))
        return known[1]


def _digest(names: list[str], arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256("\0".join(names).encode())
    for array in arrays:
        # Rounding to a tenth of a millimetre: the last bits of a float differ between machines.
        digest.update(np.round(np.asarray(array, dtype=np.float64) * 1e4).astype(np.int64).tobytes() + b"|")
    return digest.hexdigest()
