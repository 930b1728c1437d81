"""Ray casting with embree: what a ray meets first, in the static town or among the moving bodies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes
from diffdrive.world.render.extra import need
from diffdrive.world.render.mesh import NO_OBJECT, Mesh


class MeshRays:
    """A mesh that answers rays: built once, cast often."""

    def __init__(self, mesh: Mesh) -> None:
        """Build the search tree. Raises ``InputError`` when embreex is missing."""
        scene_module, mesh_module = need("embreex.rtcore_scene"), need("embreex.mesh_construction")
        self.mesh = mesh
        self.normals = mesh.normals
        self._scene = scene_module.EmbreeScene()
        if len(mesh):
            mesh_module.TriangleMesh(self._scene, np.ascontiguousarray(mesh.triangles, dtype=np.float32))

    def cast(self, origins: np.ndarray, directions: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance [N] (infinite for a miss) and triangle [N] (-1 for a miss) of rays [N, 3] up to ``limits`` [N], float32."""
        if not len(self.mesh):
            return np.full(len(origins), np.inf, dtype=np.float32), np.full(len(origins), -1, dtype=np.int32)
        answer = self._scene.run(origins, directions, dists=limits, query="INTERSECT", output=1)
        triangles = np.asarray(answer["primID"], dtype=np.int32)
        return np.where(triangles >= 0, answer["tfar"], np.float32(np.inf)), triangles


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """What N rays met."""

    distances: np.ndarray
    """[N] metres, infinite for a miss."""

    triangles: np.ndarray
    """[N] triangle of the mesh that was hit, -1 for a miss."""

    is_moving: np.ndarray
    """[N] whether the moving mesh was hit."""

    objects: np.ndarray
    """[N] row of the agent hit, or ``NO_OBJECT``."""

    @property
    def is_hit(self) -> np.ndarray:
        return self.triangles >= 0


class Stage:
    """A town and the bodies that move in it at one instant."""

    def __init__(self, town: MeshRays, moving: Mesh) -> None:
        self.town, self.moving = town, MeshRays(moving)

    def cast(self, origins: np.ndarray, directions: np.ndarray, *, reach_m: float = 1e6) -> Hits:
        """First surface within ``reach_m`` on each ray from ``origins`` [N, 3] along unit ``directions`` [N, 3], town frame."""
        axes = Axes("Stage.cast")
        origins = np.ascontiguousarray(origins, dtype=np.float32)
        directions = np.ascontiguousarray(directions, dtype=np.float32)
        axes.check("origins", origins, "N 3")
        axes.check("directions", directions, "N 3")
        limits = np.full(len(origins), reach_m, dtype=np.float32)
        far, static = self.town.cast(origins, directions, limits)
        near, dynamic = self.moving.cast(origins, directions, np.minimum(far, limits))
        is_moving = near < far
        objects = np.full(len(origins), NO_OBJECT, dtype=np.int32)
        objects[is_moving] = self.moving.mesh.objects[dynamic[is_moving]]
        return Hits(
            distances=np.where(is_moving, near, far),
            triangles=np.where(is_moving, dynamic, static),
            is_moving=is_moving,
            objects=objects,
        )

    def facing(self, hits: Hits, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normals [R, 3] and materials [R] at the hits with indices ``rows``."""
        triangles, is_moving = hits.triangles[rows], hits.is_moving[rows]
        static = np.where(is_moving, 0, triangles)
        normals, materials = np.take(self.town.normals, static, axis=0), np.take(self.town.mesh.materials, static)
        normals[is_moving] = self.moving.normals[triangles[is_moving]]
        materials[is_moving] = self.moving.mesh.materials[triangles[is_moving]]
        return normals, materials
