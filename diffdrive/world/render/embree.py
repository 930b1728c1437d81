"""Cameras by ray casting: embree for the geometry, numpy for the light. Needs pip packages only; one ray a pixel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from diffdrive.scene import CameraFrame, CameraId
from diffdrive.world.conditions import NOON, Conditions
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera
from diffdrive.world.render.extra import need
from diffdrive.world.render.mesh import Mesh
from diffdrive.world.render.rays import Hits, MeshRays, Stage
from diffdrive.world.render.shading import SHADE, SHADOW_AHEAD_M, SHADOW_REACH_M, SUN, develop, shade, sky
from diffdrive.world.render.town import Town


class TownRays:
    """The search trees of the towns used last; building one takes about 0.1 s."""

    def __init__(self, *, towns_kept: int = 24) -> None:
        need("embreex")
        self._towns_kept = towns_kept
        self._towns: OrderedDict[Town, MeshRays] = OrderedDict()

    def stage(self, town: Town, moving: Mesh) -> Stage:
        """The town with ``moving`` bodies (town frame) in it."""
        if town not in self._towns:
            self._towns[town] = MeshRays(town.mesh)
            if len(self._towns) > self._towns_kept:
                self._towns.popitem(last=False)
        self._towns.move_to_end(town)
        return Stage(self._towns[town], moving)


class EmbreeRenderer:
    """Draws towns with rays."""

    name = "embree"
    device = "embree on the CPU"

    def __init__(self, towns: TownRays | None = None) -> None:
        self._towns = towns if towns is not None else TownRays()

    def render(
        self,
        town: Town,
        moving: Mesh,
        ego_pose: np.ndarray,
        rig: Sequence[Camera] = NUPLAN_FRONT_RIG,
        conditions: Conditions = NOON,
    ) -> Mapping[CameraId, CameraFrame]:
        """One image per camera of ``rig``; ``moving`` and ``ego_pose`` [3] are in the town frame."""
        stage = self._towns.stage(town, moving)
        return {camera.camera_id: _draw(stage, camera, ego_pose) for camera in rig}

    def objects(self, town: Town, moving: Mesh, ego_pose: np.ndarray, camera: Camera) -> np.ndarray:
        """[H, W] the row of the agent that each pixel's centre shows, or ``NO_OBJECT``."""
        hits, _, _ = _see(self._towns.stage(town, moving), camera, ego_pose)
        return hits.objects.reshape(camera.height, camera.width)

    def close(self) -> None:
        """Nothing to free."""


def _see(stage: Stage, camera: Camera, ego_pose: np.ndarray) -> tuple[Hits, np.ndarray, np.ndarray]:
    town_from_camera = camera.outer_from_camera(ego_pose)
    directions = camera.pixel_rays() @ town_from_camera[:3, :3].T
    origins = np.broadcast_to(town_from_camera[:3, 3], directions.shape)
    return stage.cast(origins, directions), origins, directions


def _draw(stage: Stage, camera: Camera, ego_pose: np.ndarray) -> CameraFrame:
    hits, origins, directions = _see(stage, camera, ego_pose)
    colours = sky(directions)
    rows = np.nonzero(hits.is_hit)[0]
    distances = hits.distances[rows].astype(np.float64)
    points = origins[rows] + directions[rows] * distances[:, None]
    normals, materials, base = stage.surface(hits, rows)
    away = np.sum(normals * directions[rows], axis=1) > 0
    normals[away] *= -1
    sunlight = _sunlight(stage, points, normals, ego_pose)
    colours[rows] = shade(points, directions[rows], distances, normals, materials, base, sunlight)
    image = develop(colours).reshape(camera.height, camera.width, 3)
    return CameraFrame(image=image, intrinsics=camera.intrinsics, ego_from_camera=camera.ego_from_camera)


def _sunlight(stage: Stage, points: np.ndarray, normals: np.ndarray, ego_pose: np.ndarray) -> np.ndarray:
    """[N] 1 in the sun, ``SHADE`` where something stands between; beyond the reach of shadows everything is in the sun."""
    sunlight = np.ones(len(points))
    ahead = ego_pose[:2] + SHADOW_AHEAD_M * np.array([np.cos(ego_pose[2]), np.sin(ego_pose[2])])
    near = np.hypot(points[:, 0] - ahead[0], points[:, 1] - ahead[1]) < SHADOW_REACH_M
    rows = np.nonzero(near & (normals @ SUN > 0))[0]
    towards = np.broadcast_to(SUN.astype(np.float32), (len(rows), 3))
    blocked = stage.cast(points[rows] + normals[rows] * 0.05, towards).is_hit
    sunlight[rows[blocked]] = SHADE
    return sunlight
