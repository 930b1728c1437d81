"""Cameras by ray casting: embree for the geometry, numpy for the light. Needs pip packages only; one ray a pixel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np

from diffdrive.scene import CameraFrame, CameraId
from diffdrive.world.conditions import NOON, Conditions
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera
from diffdrive.world.render.extra import need
from diffdrive.world.render.lens import through_lens
from diffdrive.world.render.lighting import Lighting, lighting_of
from diffdrive.world.render.mesh import Material, Mesh
from diffdrive.world.render.rays import Hits, MeshRays, Stage
from diffdrive.world.render.shading import (
    SHADOW_AHEAD_M,
    SHADOW_DEPTH_M,
    SHADOW_REACH_M,
    Surface,
    clouded_sky,
    develop,
    lamplight,
    shade,
)
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
        return {camera.camera_id: _draw(stage, town, camera, ego_pose, conditions) for camera in rig}

    def objects(self, town: Town, moving: Mesh, ego_pose: np.ndarray, camera: Camera) -> np.ndarray:
        """[H, W] the row of the agent that each pixel's centre shows, or ``NO_OBJECT``."""
        hits, _, _ = _see(self._towns.stage(town, moving), camera, ego_pose)
        return hits.objects.reshape(camera.height, camera.width)

    def close(self) -> None:
        """Nothing to free."""


def _see(stage: Stage, camera: Camera, ego_pose: np.ndarray) -> tuple[Hits, np.ndarray, np.ndarray]:
    town_from_camera = camera.outer_from_camera(ego_pose)
    directions = (camera.pixel_rays() @ town_from_camera[:3, :3].T).astype(np.float32)
    origins = np.broadcast_to(town_from_camera[:3, 3].astype(np.float32), directions.shape)
    return stage.cast(origins, directions), origins, directions


def _draw(stage: Stage, town: Town, camera: Camera, ego_pose: np.ndarray, conditions: Conditions) -> CameraFrame:
    light = lighting_of(conditions)
    hits, origins, directions = _see(stage, camera, ego_pose)
    rows = np.nonzero(hits.is_hit)[0]
    colours = np.empty((len(directions), 3), dtype=np.float32)
    colours[~hits.is_hit] = clouded_sky(directions[~hits.is_hit], light)
    seen = _surface(stage, hits, rows, origins, directions)
    sunlight = _sunlight(stage, seen, ego_pose, light)
    lamps = np.zeros((len(rows), 3), dtype=np.float32)
    if light.is_night:
        lamps = lamplight(seen.points, town.lamps.at(seen.points), ego_pose, light)
    colours[rows] = shade(seen, directions[rows], sunlight, lamps, light, town.style)
    image = develop(colours, light).reshape(camera.height, camera.width, 3)
    return CameraFrame(
        image=through_lens(image, camera, conditions, light),
        intrinsics=camera.intrinsics,
        ego_from_camera=camera.ego_from_camera,
    )


def _surface(stage: Stage, hits: Hits, rows: np.ndarray, origins: np.ndarray, directions: np.ndarray) -> Surface:
    """What the hits with indices ``rows`` lie on."""
    count = len(rows)
    distances = hits.distances[rows].astype(np.float32)
    points = origins[rows] + directions[rows] * distances[:, None]
    normals, colours = np.empty((count, 3), dtype=np.float32), np.empty((count, 3), dtype=np.float32)
    materials, patterns = np.empty(count, dtype=np.uint8), np.empty(count, dtype=np.uint8)
    along = np.zeros(count, dtype=np.float32)
    for part, mask in ((stage.town, ~hits.is_moving[rows]), (stage.moving, hits.is_moving[rows])):
        mesh, triangles = part.mesh, hits.triangles[rows[mask]]
        normals[mask], colours[mask] = part.normals[triangles], mesh.colours[triangles]
        materials[mask], patterns[mask] = mesh.materials[triangles], mesh.patterns[triangles]
        wall = mask.copy()
        wall[mask] = mesh.materials[triangles] == Material.FACADE
        along[wall] = _between(mesh, hits.triangles[rows[wall]], points[wall])
    normals[np.sum(normals * directions[rows], axis=1) > 0] *= -1
    return Surface(points=points, distances=distances, normals=normals, materials=materials, patterns=patterns,
                   colours=colours, along=along)  # fmt: skip


def _between(mesh: Mesh, triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``Mesh.along`` at points [N, 3] on ``triangles`` [N], between the values of their corners."""
    corners = mesh.triangles[triangles].astype(np.float64)
    first, second, step = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    aa, ab, bb = (np.sum(p * q, axis=1) for p, q in ((first, first), (first, second), (second, second)))
    sa, sb = np.sum(step * first, axis=1), np.sum(step * second, axis=1)
    scale = np.maximum(aa * bb - ab * ab, 1e-9)
    u, v = (bb * sa - ab * sb) / scale, (aa * sb - ab * sa) / scale
    along = mesh.along[triangles]
    return along[:, 0] + u * (along[:, 1] - along[:, 0]) + v * (along[:, 2] - along[:, 0])


def _sunlight(stage: Stage, seen: Surface, ego_pose: np.ndarray, light: Lighting) -> np.ndarray:
    """[N] 1 in the sun, less where something stands between; beyond the reach of shadows everything is in the sun."""
    sunlight = np.ones(len(seen.points), dtype=np.float32)
    if not light.has_shadows:
        return sunlight
    sun = light.array("sun")
    ahead = np.array([*(ego_pose[:2] + SHADOW_AHEAD_M * np.array([np.cos(ego_pose[2]), np.sin(ego_pose[2])])), 0.0])
    step = seen.points - ahead
    height = step @ sun
    # The same box around the point ahead that a shadow map covers: a square across the sunlight.
    side = np.cross([0.0, 0.0, 1.0], sun)
    side /= np.linalg.norm(side)
    near = np.maximum(np.abs(step @ side), np.abs(step @ np.cross(sun, side))) < SHADOW_REACH_M
    rows = np.nonzero(near & (np.abs(height) < SHADOW_DEPTH_M) & (seen.normals @ sun > 0))[0]
    towards = np.broadcast_to(sun.astype(np.float32), (len(rows), 3))
    hits = stage.cast(seen.points[rows] + seen.normals[rows] * 0.05, towards)
    sunlight[rows[hits.is_hit & (hits.distances + height[rows] < SHADOW_DEPTH_M)]] = light.shade
    return sunlight
