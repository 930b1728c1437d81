"""A town's mesh in grid cells, so that what no camera sees and nothing that throws no shadow is not drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.world.render.mesh import Mesh
from diffdrive.world.render.shaders import Group, group_of
from diffdrive.world.render.shading import SHADOW_DEPTH_M, SHADOW_REACH_M

CELL_M = 60.0
_GROUPS = np.array([group_of(code) for code in range(16)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """K cells; within each, triangles are sorted by the program that draws them."""

    order: np.ndarray
    """[T] triangles sorted by cell and group."""

    firsts: np.ndarray
    """[K, groups] first vertex of each run."""

    counts: np.ndarray
    """[K, groups] vertices of each run."""

    centres: np.ndarray
    """[K, 3] of bounding spheres, town frame."""

    radii: np.ndarray
    """[K]"""

    def runs(self, wanted: np.ndarray, *groups: Group) -> np.ndarray:
        """[R, 2] first vertex and number of vertices of what cells ``wanted`` hold of adjoining ``groups``, in order."""
        columns = [int(group) for group in groups]
        runs = np.stack([self.firsts[wanted, columns[0]], self.counts[wanted][:, columns].sum(axis=1)], axis=1)
        return runs[runs[:, 1] > 0]

    def seen(self, clip: np.ndarray, eye: np.ndarray) -> np.ndarray:
        """Cells in the view of the projection ``clip`` [4, 4], from near to far: what is hidden then costs no shading."""
        planes = np.stack([clip[3] + clip[0], clip[3] - clip[0], clip[3] + clip[1], clip[3] - clip[1], clip[3] + clip[2]])
        planes = planes / np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
        distance = self.centres @ planes[:, :3].T + planes[:, 3]
        wanted = np.nonzero(np.all(distance > -self.radii[:, None], axis=1))[0]
        return wanted[np.argsort(np.linalg.norm(self.centres[wanted] - eye, axis=1) - self.radii[wanted])]

    def shadowing(self, light: np.ndarray) -> np.ndarray:
        """Cells that may throw a shadow into the view ``light`` [4, 4] from the sun."""
        place = self.centres @ light[:3, :3].T + light[:3, 3]
        margin = self.radii[:, None] / np.array([SHADOW_REACH_M, SHADOW_REACH_M, SHADOW_DEPTH_M])
        return np.nonzero(np.all(np.abs(place) <= 1 + margin, axis=1))[0]


def cells_of(mesh: Mesh) -> Cells:
    """Sort a mesh that is not empty."""
    keys = np.floor(mesh.triangles.mean(axis=1)[:, :2] / CELL_M).astype(int)
    groups = _GROUPS[mesh.materials]
    # Last built is drawn first within a group: paint before asphalt before the lawn below all of them.
    order = np.lexsort((-np.arange(len(mesh)), groups, keys[:, 1], keys[:, 0]))
    _, firsts, cell = np.unique(keys[order], axis=0, return_index=True, return_inverse=True)
    counts = np.zeros((len(firsts), len(Group)), dtype=np.int64)
    np.add.at(counts, (cell.ravel(), groups[order]), 1)
    starts = firsts[:, None] + np.cumsum(counts, axis=1) - counts
    corners = mesh.triangles[order].reshape(-1, 3)
    low = np.minimum.reduceat(corners, firsts * 3)
    high = np.maximum.reduceat(corners, firsts * 3)
    return Cells(
        order=order,
        firsts=starts * 3,
        counts=counts * 3,
        centres=(low + high) / 2,
        radii=np.linalg.norm(high - low, axis=1) / 2,
    )
