"""Coloured triangle soup: what every sensor of the world looks at.

T triangles. A triangle carries a material (how it takes light), a base colour and the row of the agent it belongs to.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffdrive.contracts import Axes, frozen_array

NO_OBJECT = -1


class Material(enum.IntEnum):
    """How a surface takes light; the values are shared with the shader."""

    GROUND = 0
    """Grass and bare earth."""
    MATTE = 1
    PAINT = 2
    """Car paint: mirrors a little of the sky."""
    GLASS = 3
    """Mirrors much of the sky."""
    FACADE = 4
    """A wall with rows of windows; the pattern says which windows and which wall."""
    LAMP = 5
    """Shines by itself."""
    LEAF = 6
    ASPHALT = 7
    """Road, with stains, cracks and repairs; wet in the rain."""
    PAVING = 8
    """Slabs; wet in the rain."""
    MARKING = 9
    """Paint on the road, worn by wheels."""
    SIGN = 10
    """Foil that throws light back to where it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """T coloured triangles in one frame, metres, z above ground."""

    triangles: np.ndarray
    """[T, 3, 3] corners, float32."""

    materials: np.ndarray
    """[T] values of ``Material``, uint8."""

    colours: np.ndarray
    """[T, 3] base colour, linear 0..1, float32."""

    objects: np.ndarray
    """[T] row of the agent, or ``NO_OBJECT``, int32."""

    patterns: np.ndarray
    """[T] which of its material's patterns, 0 to 15, uint8."""

    along: np.ndarray
    """[T, 3] of walls: how many windows each corner is from the wall's left end, float32. Otherwise 0."""

    def __post_init__(self) -> None:
        axes = Axes("Mesh")
        for name, contract, dtype in (
            ("triangles", "T 3 3", np.float32),
            ("materials", "T", np.uint8),
            ("colours", "T 3", np.float32),
            ("objects", "T", np.int32),
            ("patterns", "T", np.uint8),
            ("along", "T 3", np.float32),
        ):
            array = frozen_array(getattr(self, name), dtype)
            axes.check(name, array, contract)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.triangles)

    @property
    def normals(self) -> np.ndarray:
        """[T, 3] unit normals by the corners' order, float32; zero for triangles without an area."""
        first = self.triangles[:, 1] - self.triangles[:, 0]
        normal = np.cross(first, self.triangles[:, 2] - self.triangles[:, 0])
        return (normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def placed(self, pose: np.ndarray, z: float = 0.0, object_row: int = NO_OBJECT) -> Mesh:
        """The mesh moved from its own frame to the planar pose [3] at height ``z``, belonging to agent ``object_row``."""
        return assembled([self], np.array([[*pose, z]]), np.array([object_row]))


def assembled(meshes: Sequence[Mesh], places: np.ndarray, object_rows: np.ndarray | None = None) -> Mesh:
    """One mesh of all, each moved from its own frame to its place [N, 4] (planar pose, height of its z = 0).

    ``object_rows`` [N] names the agents that the meshes belong to; without it they belong to none.
    """
    whole = joined(meshes)
    sizes = [len(mesh) for mesh in meshes]
    x, y, heading, z = np.repeat(np.asarray(places, dtype=np.float64).reshape(-1, 4), sizes, axis=0).T[:, :, None]
    c, s = np.cos(heading), np.sin(heading)
    corners = np.empty_like(whole.triangles)
    corners[..., 0] = c * whole.triangles[..., 0] - s * whole.triangles[..., 1] + x
    corners[..., 1] = s * whole.triangles[..., 0] + c * whole.triangles[..., 1] + y
    corners[..., 2] = whole.triangles[..., 2] + z
    rows = np.full(len(meshes), NO_OBJECT) if object_rows is None else object_rows
    return replace(whole, triangles=corners, objects=np.repeat(rows, sizes))


def coloured(
    triangles: np.ndarray,
    material: Material,
    colour: Sequence[float] | np.ndarray,
    *,
    pattern: int = 0,
    along: np.ndarray | None = None,
) -> Mesh:
    """A mesh of one material; ``colour`` is [3], or [T, 3] for a colour per triangle; ``along`` [T, 3] is for walls."""
    triangles = np.asarray(triangles, dtype=np.float32).reshape(-1, 3, 3)
    count = len(triangles)
    return Mesh(
        triangles=triangles,
        materials=np.full(count, int(material), dtype=np.uint8),
        colours=np.array(np.broadcast_to(np.asarray(colour, dtype=np.float32), (count, 3))),
        objects=np.full(count, NO_OBJECT, dtype=np.int32),
        patterns=np.full(count, pattern, dtype=np.uint8),
        along=np.zeros((count, 3), dtype=np.float32) if along is None else along,
    )


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of all, in order."""
    if not meshes:
        return coloured(np.zeros((0, 3, 3)), Material.MATTE, (0, 0, 0))
    return Mesh(
        triangles=np.concatenate([mesh.triangles for mesh in meshes]),
        materials=np.concatenate([mesh.materials for mesh in meshes]),
        colours=np.concatenate([mesh.colours for mesh in meshes]),
        objects=np.concatenate([mesh.objects for mesh in meshes]),
        patterns=np.concatenate([mesh.patterns for mesh in meshes]),
        along=np.concatenate([mesh.along for mesh in meshes]),
    )
