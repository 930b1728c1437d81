"""Cameras by rasterisation: moderngl on EGL (a GPU, or Mesa's llvmpipe on the CPU), with shadows and multisampling."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import invert_transform
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.world.conditions import NOON, Conditions
from diffdrive.world.render import shaders
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera
from diffdrive.world.render.extra import need
from diffdrive.world.render.mesh import Mesh
from diffdrive.world.render.shading import SHADOW_AHEAD_M, SHADOW_REACH_M, SUN
from diffdrive.world.render.town import Town

CELL_M = 60.0
NEAR_M, FAR_M = 0.2, 2500.0
SHADOW_PIXELS = 1024
_VERTEX = np.dtype([("P", "<f4", 3), ("N", "<f2", 4), ("C", "u1", 4)])


class GlRenderer:
    """Draws towns with OpenGL 3.3. One instance belongs to one thread of one process."""

    name = "gl"

    def __init__(self, *, samples: int = 4, towns_kept: int = 24) -> None:
        """Open a context. Raises ``InputError`` when moderngl or a working EGL is missing."""
        moderngl = need("moderngl")
        try:
            self._ctx = moderngl.create_context(standalone=True, backend="egl", require=330)
        except Exception as error:
            raise InputError(
                f"OpenGL rendering needs a working EGL, but none opened ({error}). On Debian or Ubuntu: "
                "apt install libegl1 libegl-mesa0 libgl1-mesa-dri. Or use the renderer 'embree', which needs pip packages only."
            ) from error
        self._depth_test = moderngl.DEPTH_TEST
        self._samples, self._towns_kept = samples, towns_kept
        self._surface = self._ctx.program(vertex_shader=shaders.SURFACE_VERTEX, fragment_shader=shaders.SURFACE_FRAGMENT)
        self._shadow = self._ctx.program(vertex_shader=shaders.SHADOW_VERTEX, fragment_shader=shaders.SHADOW_FRAGMENT)
        self._sky = self._ctx.program(vertex_shader=shaders.SKY_VERTEX, fragment_shader=shaders.SKY_FRAGMENT)
        self._sky_triangle = self._ctx.vertex_array(self._sky, [])
        self._depths = self._ctx.depth_texture((SHADOW_PIXELS, SHADOW_PIXELS))
        self._depths.compare_func = "<="
        self._depths.repeat_x = self._depths.repeat_y = False
        self._shadow_target = self._ctx.framebuffer(depth_attachment=self._depths)
        self._targets: dict[tuple[int, int], tuple[Any, Any]] = {}
        self._towns: OrderedDict[Town, _Buffers] = OrderedDict()

    @property
    def device(self) -> str:
        """The driver's name of what draws."""
        return str(self._ctx.info["GL_RENDERER"])

    def render(
        self,
        town: Town,
        moving: Mesh,
        ego_pose: np.ndarray,
        rig: Sequence[Camera] = NUPLAN_FRONT_RIG,
        conditions: Conditions = NOON,
    ) -> Mapping[CameraId, CameraFrame]:
        """One image per camera of ``rig``; ``moving`` and ``ego_pose`` [3] are in the town frame."""
        # Several contexts may be open in one process; calls go to the current one, so each drawing makes its own current.
        with self._ctx, self._uploaded(moving) as actors:
            static = self._static(town)
            light = _light_from_town(ego_pose)
            self._draw_shadows(static, actors, light, ego_pose)
            self._surface["light_from_town"].write(_gl(light))
            self._depths.use(0)
            return {camera.camera_id: self._draw(camera, static, actors, ego_pose) for camera in rig}

    def close(self) -> None:
        """Free the context."""
        with self._ctx:
            while self._towns:
                self._towns.popitem()[1].release()
        self._ctx.release()

    def _static(self, town: Town) -> _Buffers:
        if town not in self._towns:
            self._towns[town] = self._buffers(town.mesh, _cells(town.mesh))
            if len(self._towns) > self._towns_kept:
                self._towns.popitem(last=False)[1].release()
        self._towns.move_to_end(town)
        return self._towns[town]

    @contextlib.contextmanager
    def _uploaded(self, mesh: Mesh) -> Iterator[_Buffers | None]:
        buffers = self._buffers(mesh, None) if len(mesh) else None
        yield buffers
        if buffers is not None:
            buffers.release()

    def _buffers(self, mesh: Mesh, cells: _Cells | None) -> _Buffers:
        order = slice(None) if cells is None else cells.order
        vertices = self._ctx.buffer(_vertices(mesh, order).tobytes())
        return _Buffers(
            vertices=vertices,
            seen=self._ctx.vertex_array(self._surface, [(vertices, "3f 4f2 4f1", "P", "N", "C")]),
            shadowing=self._ctx.vertex_array(self._shadow, [(vertices, "3f 12x", "P")]),
            count=3 * len(mesh),
            cells=cells,
        )

    def _draw_shadows(self, static: _Buffers, actors: _Buffers | None, light: np.ndarray, ego_pose: np.ndarray) -> None:
        self._ctx.enable(self._depth_test)
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        self._shadow["light_from_town"].write(_gl(light))
        static.draw_shadows(_is_shadowing(static.cells, light))
        if actors is not None:
            actors.shadowing.render(vertices=actors.count)

    def _draw(self, camera: Camera, static: _Buffers, actors: _Buffers | None, ego_pose: np.ndarray) -> CameraFrame:
        many, single = self._target(camera.width, camera.height)
        town_from_camera = camera.outer_from_camera(ego_pose)
        clip = camera.clip_from_camera(NEAR_M, FAR_M) @ invert_transform(town_from_camera)
        many.use()
        many.clear()
        self._surface["clip_from_town"].write(_gl(clip))
        self._surface["eye"].value = tuple(town_from_camera[:3, 3])
        if actors is not None:
            actors.seen.render(vertices=actors.count)
        static.draw(_is_seen(static.cells, clip), town_from_camera[:3, 3])
        w, h, f = camera.width, camera.height, camera.focal
        self._sky["town_from_camera"].write(np.ascontiguousarray(town_from_camera[:3, :3].T, dtype="<f4").tobytes())
        # Device coordinates [-1, 1] to camera rays: first the scale, then the offset of the principal point.
        self._sky["lens"].value = (w / 2 / f, -h / 2 / f, (w / 2 - camera.centre[0]) / f, (h / 2 - camera.centre[1]) / f)
        self._sky_triangle.render(vertices=3)
        self._ctx.copy_framebuffer(single, many)
        image = np.frombuffer(single.read(components=3, alignment=1), np.uint8).reshape(h, w, 3)[::-1]
        return CameraFrame(
            image=np.ascontiguousarray(image), intrinsics=camera.intrinsics, ego_from_camera=camera.ego_from_camera
        )

    def _target(self, width: int, height: int) -> tuple[Any, Any]:
        """A multisampled target and the single-sampled one it is resolved into."""
        if (width, height) not in self._targets:
            size, ctx = (width, height), self._ctx
            many = ctx.framebuffer(
                ctx.renderbuffer(size, 4, samples=self._samples), ctx.depth_renderbuffer(size, samples=self._samples)
            )
            self._targets[size] = (many, ctx.framebuffer(ctx.renderbuffer(size, 4)))
        return self._targets[(width, height)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """A static mesh in grid cells, so that what no camera sees is not drawn."""

    order: np.ndarray
    """[T] triangles sorted by cell."""

    firsts: np.ndarray
    counts: np.ndarray
    centres: np.ndarray
    """[K, 3] of bounding spheres."""

    radii: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffers:
    vertices: Any
    seen: Any
    shadowing: Any
    count: int
    cells: _Cells | None

    def draw(self, mask: np.ndarray, eye: np.ndarray) -> None:
        for first, count in _runs(self.cells, mask, eye):
            self.seen.render(vertices=count, first=first)

    def draw_shadows(self, mask: np.ndarray) -> None:
        for first, count in _runs(self.cells, mask, None):
            self.shadowing.render(vertices=count, first=first)

    def release(self) -> None:
        for part in (self.seen, self.shadowing, self.vertices):
            part.release()


def _cells(mesh: Mesh) -> _Cells:
    keys = np.floor(mesh.triangles.mean(axis=1)[:, :2] / CELL_M).astype(int)
    # Last built is drawn first within a cell: houses before paint before asphalt before the lawn below all of them.
    order = np.lexsort((-np.arange(len(mesh)), keys[:, 1], keys[:, 0]))
    _, firsts, counts = np.unique(keys[order], axis=0, return_index=True, return_counts=True)
    corners = mesh.triangles[order].reshape(-1, 3)
    low = np.minimum.reduceat(corners, firsts * 3)
    high = np.maximum.reduceat(corners, firsts * 3)
    return _Cells(
        order=order, firsts=firsts, counts=counts, centres=(low + high) / 2, radii=np.linalg.norm(high - low, axis=1) / 2
    )


def _runs(cells: _Cells | None, mask: np.ndarray, eye: np.ndarray | None) -> list[tuple[int, int]]:
    """Wanted cells as (first vertex, vertices), from near to far: what is hidden then costs no shading."""
    if cells is None:
        return []
    wanted = np.nonzero(mask)[0]
    if eye is not None:
        wanted = wanted[np.argsort(np.linalg.norm(cells.centres[wanted] - eye, axis=1) - cells.radii[wanted])]
    return [(int(cells.firsts[k]) * 3, int(cells.counts[k]) * 3) for k in wanted]


def _is_seen(cells: _Cells | None, clip: np.ndarray) -> np.ndarray:
    """Cells [K] whose sphere touches the view: exact planes of the clip volume, so culling changes no pixel."""
    if cells is None:
        return np.zeros(0, dtype=bool)
    planes = np.stack([clip[3] + clip[0], clip[3] - clip[0], clip[3] + clip[1], clip[3] - clip[1], clip[3] + clip[2]])
    planes = planes / np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
    distance = cells.centres @ planes[:, :3].T + planes[:, 3]
    return np.all(distance > -cells.radii[:, None], axis=1)


def _is_shadowing(cells: _Cells | None, light: np.ndarray) -> np.ndarray:
    """Cells [K] that may throw a shadow into the shadow map."""
    if cells is None:
        return np.zeros(0, dtype=bool)
    across = cells.centres @ light[:2, :3].T + light[:2, 3]
    return np.all(np.abs(across) <= 1 + cells.radii[:, None] / SHADOW_REACH_M, axis=1)


def _light_from_town(ego_pose: np.ndarray) -> np.ndarray:
    """[4, 4] orthographic view from the sun around the point ahead of the ego."""
    side = np.cross([0.0, 0.0, 1.0], SUN)
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(SUN, side), SUN])
    heading = np.array([np.cos(ego_pose[2]), np.sin(ego_pose[2])])
    centre = np.array([*(ego_pose[:2] + SHADOW_AHEAD_M * heading), 0.0])
    # Whole steps of the shadow map keep shadow edges still while the ego moves.
    texel = 2 * SHADOW_REACH_M / SHADOW_PIXELS
    anchor = rotation @ centre
    anchor[:2] = np.round(anchor[:2] / texel) * texel
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = rotation, -anchor
    return np.diag([1 / SHADOW_REACH_M, 1 / SHADOW_REACH_M, -1 / 160.0, 1.0]) @ view


def _vertices(mesh: Mesh, order: Any) -> np.ndarray:
    triangles = mesh.triangles[order]
    vertices = np.zeros((len(triangles), 3), dtype=_VERTEX)
    vertices["P"] = triangles
    vertices["N"][..., :3] = mesh.normals[order][:, None]
    vertices["C"][..., :3] = np.round(np.clip(mesh.colours[order], 0, 1) * 255)[:, None]
    vertices["C"][..., 3] = mesh.materials[order][:, None]
    return vertices


def _gl(matrix: np.ndarray) -> bytes:
    """Column-major single precision, as OpenGL reads matrices."""
    return np.ascontiguousarray(matrix.T, dtype="<f4").tobytes()
