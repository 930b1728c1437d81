"""Cameras by rasterisation: moderngl on EGL (a GPU, or Mesa's llvmpipe on the CPU), with shadows and smoothed edges."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import invert_transform
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.world.conditions import NOON, Conditions
from diffdrive.world.render import shaders
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera
from diffdrive.world.render.cells import Cells, cells_of
from diffdrive.world.render.extra import need
from diffdrive.world.render.lamps import STEP_M
from diffdrive.world.render.lens import through_lens
from diffdrive.world.render.lighting import Lighting, lighting_of
from diffdrive.world.render.mesh import Mesh
from diffdrive.world.render.shaders import Group
from diffdrive.world.render.shading import SHADOW_AHEAD_M, SHADOW_DEPTH_M, SHADOW_REACH_M
from diffdrive.world.render.town import Town

NEAR_M, FAR_M = 0.2, 2500.0
SHADOW_PIXELS = 1024
_VERTEX = np.dtype([("P", "<f4", 3), ("N", "<f2", 4), ("C", "u1", 4)])
_LAYOUT = ("3f 4f2 4f1", "P", "N", "C")
_DEPTHS, _STREET, _SHARP = 0, 1, 2
"""Texture units."""


class GlRenderer:
    """Draws towns with OpenGL 3.3. One instance belongs to one thread of one process."""

    name = "gl"

    def __init__(self, *, towns_kept: int = 24) -> None:
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
        self._towns_kept = towns_kept
        self._surfaces: dict[tuple[bool, bool], dict[Group, Any]] = {}
        self._shadow = self._ctx.program(vertex_shader=shaders.SHADOW_VERTEX, fragment_shader=shaders.SHADOW_FRAGMENT)
        self._sky = self._ctx.program(vertex_shader=shaders.SCREEN_VERTEX, fragment_shader=shaders.SKY_FRAGMENT)
        self._smooth = self._ctx.program(vertex_shader=shaders.SCREEN_VERTEX, fragment_shader=shaders.SMOOTH_FRAGMENT)
        self._smooth["sharp"].value = _SHARP
        self._sky_screen = self._ctx.vertex_array(self._sky, [])
        self._smooth_screen = self._ctx.vertex_array(self._smooth, [])
        self._depths = self._ctx.depth_texture((SHADOW_PIXELS, SHADOW_PIXELS))
        self._depths.compare_func = "<="
        self._depths.repeat_x = self._depths.repeat_y = False
        self._shadow_target = self._ctx.framebuffer(depth_attachment=self._depths)
        self._targets: dict[tuple[int, int], _Target] = {}
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
        light = lighting_of(conditions)
        # Several contexts may be open in one process; calls go to the current one, so each drawing makes its own current.
        with self._ctx, self._uploaded(moving) as bodies:
            static = self._static(town)
            programs = self._programs(light)
            for program in (*programs.values(), self._sky):
                _set(program, {**light.uniforms(), **town.style.uniforms()})
            for program in programs.values():
                self._describe_town(program, town, ego_pose)
            if light.has_shadows:
                self._draw_shadows(static, bodies, programs, _light_from_town(light.array("sun"), ego_pose))
            static.street.use(_STREET)
            frames = {}
            for camera in rig:
                image = self._draw(camera, static, bodies, programs, camera.outer_from_camera(ego_pose))
                frames[camera.camera_id] = CameraFrame(
                    image=through_lens(image, camera, conditions, light),
                    intrinsics=camera.intrinsics,
                    ego_from_camera=camera.ego_from_camera,
                )
            return frames

    def close(self) -> None:
        """Free the context."""
        with self._ctx:
            while self._towns:
                self._towns.popitem()[1].release()
        self._ctx.release()

    def _programs(self, light: Lighting) -> dict[Group, Any]:
        """One program for each group of materials, made for this kind of light when it first comes up."""
        kind = (light.has_shadows, light.is_night)
        if kind not in self._surfaces:
            self._surfaces[kind] = {
                group: self._ctx.program(
                    vertex_shader=shaders.SURFACE_VERTEX,
                    fragment_shader=shaders.surface_fragment(group, has_shadows=kind[0], is_night=kind[1]),
                )
                for group in Group
            }
        return self._surfaces[kind]

    def _describe_town(self, program: Any, town: Town, ego_pose: np.ndarray) -> None:
        style, lamps = town.style, town.lamps
        height, width = lamps.light.shape
        # One scale for both directions: the texture is square, with what is beyond the map dark.
        scale = 1 / (max(height, width) * STEP_M)
        values = {
            "asphalt": tuple(style.asphalt), "street": _STREET, "depths": _DEPTHS, "ego_pose": tuple(ego_pose),
            "street_frame": (*lamps.origin, scale),
        }  # fmt: skip
        _set(program, values)
        if "facades" in program:
            program["facades"].write(style.facades.astype("<f4").tobytes())

    def _static(self, town: Town) -> _Buffers:
        if town not in self._towns:
            self._towns[town] = self._buffers(town.mesh, cells_of(town.mesh), town.lamps.light)
            if len(self._towns) > self._towns_kept:
                self._towns.popitem(last=False)[1].release()
        self._towns.move_to_end(town)
        return self._towns[town]

    @contextlib.contextmanager
    def _uploaded(self, mesh: Mesh) -> Iterator[_Buffers | None]:
        buffers = self._buffers(mesh, None, None) if len(mesh) else None
        yield buffers
        if buffers is not None:
            buffers.release()

    def _buffers(self, mesh: Mesh, cells: Cells | None, lamps: np.ndarray | None) -> _Buffers:
        order = slice(None) if cells is None else cells.order
        vertices = self._ctx.buffer(_vertices(mesh, order).tobytes())
        street = None
        if lamps is not None:
            square = np.zeros((max(lamps.shape),) * 2, dtype=np.uint8)
            square[: lamps.shape[0], : lamps.shape[1]] = lamps
            street = self._ctx.texture(square.shape, 1, square.tobytes(), alignment=1)
            street.repeat_x = street.repeat_y = False
        shadowing = self._ctx.vertex_array(self._shadow, [(vertices, "3f 12x", "P")])
        return _Buffers(vertices=vertices, shadowing=shadowing, street=street, count=3 * len(mesh), cells=cells)

    def _draw_shadows(self, static: _Buffers, bodies: _Buffers | None, programs: dict[Group, Any], light: np.ndarray) -> None:
        self._ctx.enable(self._depth_test)
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        self._shadow["light_from_town"].write(_gl(light))
        if static.cells is not None:
            # What lies flat throws no shadow.
            _render(static.shadowing, static.cells.runs(static.cells.shadowing(light), Group.BODY, Group.FACADE))
        if bodies is not None:
            bodies.shadowing.render(vertices=bodies.count)
        for program in programs.values():
            program["light_from_town"].write(_gl(light))
        self._depths.use(_DEPTHS)

    def _draw(
        self,
        camera: Camera,
        static: _Buffers,
        bodies: _Buffers | None,
        programs: dict[Group, Any],
        town_from_camera: np.ndarray,
    ) -> np.ndarray:
        """[H, W, 3] of one camera."""
        w, h, f = camera.width, camera.height, camera.focal
        target = self._target(w, h)
        clip = camera.clip_from_camera(NEAR_M, FAR_M) @ invert_transform(town_from_camera)
        self._ctx.enable(self._depth_test)
        target.sharp.use()
        target.sharp.clear()
        for program in programs.values():
            program["clip_from_town"].write(_gl(clip))
            program["eye"].value = tuple(town_from_camera[:3, 3])
        if bodies is not None:
            bodies.vertex_array(self._ctx, programs[Group.BODY]).render(vertices=bodies.count)
        if static.cells is not None:
            seen = static.cells.seen(clip, town_from_camera[:3, 3])
            for group, program in programs.items():
                _render(static.vertex_array(self._ctx, program), static.cells.runs(seen, group))
        self._sky["town_from_camera"].write(np.ascontiguousarray(town_from_camera[:3, :3].T, dtype="<f4").tobytes())
        # Device coordinates [-1, 1] to camera rays: first the scale, then the offset of the principal point.
        self._sky["lens"].value = (w / 2 / f, -h / 2 / f, (w / 2 - camera.centre[0]) / f, (h / 2 - camera.centre[1]) / f)
        self._sky_screen.render(vertices=3)
        self._ctx.disable(self._depth_test)
        target.smooth.use()
        target.colours.use(_SHARP)
        self._smooth_screen.render(vertices=3)
        pixels = np.frombuffer(target.smooth.read(components=3, alignment=1), np.uint8)
        return np.ascontiguousarray(pixels.reshape(h, w, 3)[::-1])

    def _target(self, width: int, height: int) -> _Target:
        if (width, height) not in self._targets:
            size, ctx = (width, height), self._ctx
            colours = ctx.texture(size, 4)
            colours.repeat_x = colours.repeat_y = False
            self._targets[size] = _Target(
                colours=colours,
                sharp=ctx.framebuffer(colours, ctx.depth_renderbuffer(size)),
                smooth=ctx.framebuffer(ctx.renderbuffer(size, 4)),
            )
        return self._targets[(width, height)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where a camera's image is drawn, and where its edges are smoothed."""

    colours: Any
    sharp: Any
    smooth: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffers:
    """A mesh on the device; ``cells`` and ``street`` (the lamps' light) are a town's."""

    vertices: Any
    shadowing: Any
    street: Any
    count: int
    cells: Cells | None
    seen: dict[Any, Any] = field(default_factory=dict)

    def vertex_array(self, ctx: Any, program: Any) -> Any:
        """The mesh as ``program`` reads it."""
        if program not in self.seen:
            self.seen[program] = ctx.vertex_array(program, [(self.vertices, *_LAYOUT)], skip_errors=True)
        return self.seen[program]

    def release(self) -> None:
        for part in (*self.seen.values(), self.shadowing, self.vertices, self.street):
            if part is not None:
                part.release()


def _render(vertex_array: Any, runs: np.ndarray) -> None:
    for first, count in runs.tolist():
        vertex_array.render(vertices=count, first=first)


def _set(program: Any, values: Mapping[str, Any]) -> None:
    """Uniforms that a program does not read do not exist in it."""
    for name, value in values.items():
        if name in program:
            program[name].value = value


def _light_from_town(sun: np.ndarray, ego_pose: np.ndarray) -> np.ndarray:
    """[4, 4] orthographic view from the sun around the point ahead of the ego."""
    side = np.cross([0.0, 0.0, 1.0], sun)
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(sun, side), sun])
    heading = np.array([np.cos(ego_pose[2]), np.sin(ego_pose[2])])
    centre = np.array([*(ego_pose[:2] + SHADOW_AHEAD_M * heading), 0.0])
    # Whole steps of the shadow map keep shadow edges still while the ego moves.
    texel = 2 * SHADOW_REACH_M / SHADOW_PIXELS
    anchor = rotation @ centre
    anchor[:2] = np.round(anchor[:2] / texel) * texel
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = rotation, -anchor
    return np.diag([1 / SHADOW_REACH_M, 1 / SHADOW_REACH_M, -1 / SHADOW_DEPTH_M, 1.0]) @ view


def _vertices(mesh: Mesh, order: Any) -> np.ndarray:
    triangles = mesh.triangles[order]
    vertices = np.zeros((len(triangles), 3), dtype=_VERTEX)
    vertices["P"] = triangles
    vertices["N"][..., :3] = mesh.normals[order][:, None]
    vertices["N"][..., 3] = mesh.along[order]
    vertices["C"][..., :3] = np.round(np.clip(mesh.colours[order], 0, 1) * 255)[:, None]
    vertices["C"][..., 3] = (mesh.materials[order] + 16 * mesh.patterns[order])[:, None]
    return vertices


def _gl(matrix: np.ndarray) -> bytes:
    """Column-major single precision, as OpenGL reads matrices."""
    return np.ascontiguousarray(matrix.T, dtype="<f4").tobytes()
