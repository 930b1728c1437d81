"""Which renderer draws the cameras: one protocol, chosen by name or by what the machine can do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import CameraFrame, CameraId
from diffdrive.world.conditions import NOON, Conditions
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera
from diffdrive.world.render.embree import EmbreeRenderer
from diffdrive.world.render.gl import GlRenderer
from diffdrive.world.render.mesh import Mesh
from diffdrive.world.render.town import Town

RendererName = Literal["auto", "gl", "embree"]
_log = logging.getLogger(__name__)


class Renderer(Protocol):
    """Draws the cameras of one ego in a town."""

    name: str

    @property
    def device(self) -> str:
        """What does the drawing, for the log."""

    def render(
        self,
        town: Town,
        moving: Mesh,
        ego_pose: np.ndarray,
        rig: Sequence[Camera] = NUPLAN_FRONT_RIG,
        conditions: Conditions = NOON,
    ) -> Mapping[CameraId, CameraFrame]:
        """One image per camera; ``moving`` and ``ego_pose`` [3] are in the town frame."""

    def close(self) -> None:
        """Free what is held."""


def open_renderer(name: str = "auto") -> Renderer:
    """The renderer called ``name``; ``auto`` takes OpenGL where it works and embree otherwise, and logs which and why.

    Raises ``InputError`` for an unknown name and when the wanted renderer cannot run here.
    """
    renderer: Renderer
    if name not in ("auto", "gl", "embree"):
        raise InputError(f"renderer must be 'auto', 'gl' or 'embree', got '{name}'.")
    if name == "embree":
        renderer = EmbreeRenderer()
    elif name == "gl":
        renderer = GlRenderer()
    else:
        try:
            renderer = GlRenderer()
        except InputError as error:
            renderer = EmbreeRenderer()
            _log.warning("Cameras are drawn by embree, which is slower: %s", error)
    _log.info("Renderer: %s (%s)", renderer.name, renderer.device)
    return renderer
