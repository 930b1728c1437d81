"""A town as the sensors see it: one static mesh made from a whole vector map and a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from diffdrive.scene import VectorMap
from diffdrive.world.render.extra import need
from diffdrive.world.render.lamps import LampMap, lamp_map
from diffdrive.world.render.mesh import Mesh, joined
from diffdrive.world.render.scenery import scenery_of
from diffdrive.world.render.signs import StopPlace, speed_signs, stop_places
from diffdrive.world.render.style import Style, style_of
from diffdrive.world.render.surfaces import Footprint, footprint, surfaces_mesh


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Town:
    """Everything that does not move, in the town frame: world axes, origin at ``origin``.

    World coordinates may be millions of metres (UTM); single precision would blur them, hence the frame of its own.
    """

    name: str
    origin: np.ndarray
    """[2] of the town frame in the world frame, metres."""

    local_map: VectorMap
    """The map in the town frame."""

    area: Footprint
    mesh: Mesh
    style: Style
    """How this town looks."""

    lamps: LampMap
    """What its street lamps light."""

    stops: tuple[StopPlace, ...]
    """Where stop signs stand while no light governs the approach."""

    seed: int

    def from_world(self, pose: np.ndarray) -> np.ndarray:
        """Pose [..., 3] or point [..., 2] of the world frame in the town frame."""
        moved = np.array(pose, dtype=np.float64)
        moved[..., :2] -= self.origin
        return moved


def town_seed(location: str) -> int:
    """A seed that depends on the location's name alone."""
    return int.from_bytes(hashlib.sha256(location.encode()).digest()[:8], "little")


def build_town(name: str, world_map: VectorMap, *, seed: int) -> Town:
    """The static world of a map in the world frame.

    Raises ``InputError`` for a map without lanes and drivable areas, or when the extra ``render`` is not installed.
    """
    need("shapely")
    outlines = [lane.polygon for lane in world_map.lanes] + [area.outline for area in world_map.areas]
    points = np.concatenate(outlines) if outlines else np.zeros((1, 2))
    origin = np.round((points.min(axis=0) + points.max(axis=0)) / 2)
    local_map = world_map.to_local(np.array([*origin, 0.0]))
    area = footprint(local_map)
    style = style_of(seed)
    scenery = scenery_of(area.paved, style, np.random.default_rng(seed))
    mesh = joined([surfaces_mesh(local_map, area, style), speed_signs(local_map, area), scenery.mesh])
    return Town(
        name=name,
        origin=origin,
        local_map=local_map,
        area=area,
        mesh=mesh,
        style=style,
        lamps=lamp_map(scenery.lamps),
        stops=stop_places(local_map, area),
        seed=seed,
    )
