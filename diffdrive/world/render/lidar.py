"""The LiDAR sweep: what comes back of each ray, and how far away it says it was.

A ray answers by what reaches the sensor again: the surface's reflectivity times the cosine of the angle at which the ray meets
it, over the square of the distance, and in rain damped on the way there and back. So the far road, met at a grazing angle, goes
first, then glass, then dark and distant bodies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.scene import LidarSweep
from diffdrive.vehicle import PACIFICA, VehicleDimensions
from diffdrive.world.conditions import NOON, Conditions, Light
from diffdrive.world.render.lidar_rig import NUPLAN_LIDAR, LidarRig, Motion, along, lines, placed
from diffdrive.world.render.mesh import Material
from diffdrive.world.render.rays import Hits, Stage

SWEEP_VERSION = 2
"""Goes up with every change to what a sweep holds: sweeps kept on disk are then made anew."""

_REFLECTIVITY = {
    Material.GROUND: 0.25,
    Material.MATTE: 0.25,
    Material.PAINT: 0.45,
    Material.GLASS: 0.06,
    Material.FACADE: 0.30,
    Material.LAMP: 0.50,
    Material.LEAF: 0.30,
    Material.ASPHALT: 0.14,
    Material.PAVING: 0.25,
    Material.MARKING: 0.45,
    Material.SIGN: 0.90,
}
"""At 905 nm; rough values, by kind of surface."""

_WET = (Material.GROUND, Material.ASPHALT, Material.PAVING, Material.MARKING)

RAIN_DAMPING = 0.004
"""Per metre of way, at 905 nm in a steady rain."""

RAIN_WETNESS = 0.45
"""Share of its reflectivity that wet ground keeps: water mirrors light away."""

RAIN_DROPOUT = 0.03
"""Share of rays that drops on the sensor's window take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A sweep, what each point lies on, and what each ray said."""

    sweep: LidarSweep
    objects: np.ndarray
    """[returns] row of the agent hit, or ``NO_OBJECT``."""

    steps: np.ndarray
    """[rays] distance in steps of ``LidarRig.step_m``, uint16; zero where nothing came back."""


def scan(
    stage: Stage,
    ego_pose: np.ndarray,
    rng: np.random.Generator,
    *,
    motion: Motion | None = None,
    conditions: Conditions = NOON,
    rig: LidarRig = NUPLAN_LIDAR,
    dimensions: VehicleDimensions = PACIFICA,
) -> Sweep:
    """Cast all rays from the ego, at ``ego_pose`` [3] (town frame) at the frame's time, standing or in ``motion``.

    ``rng`` draws the errors; the ego itself is never hit.
    """
    origins, directions = lines(rig, motion or Motion())
    towards = placed(directions, ego_pose, are_points=False)
    hits = stage.cast(placed(origins, ego_pose, are_points=True), towards, reach_m=rig.range_m)
    # Errors are drawn for every ray, hit or not: one body more in the scene leaves all other points as they were.
    error = np.clip(rng.standard_normal(rig.num_rays, dtype=np.float32), -4, 4) * np.float32(rig.noise_m)
    luck = rng.random(rig.num_rays, dtype=np.float32)
    rows = np.flatnonzero(hits.is_hit)
    rows = rows[luck[rows] < _answers(stage, hits, rows, towards, rig, conditions)]
    most = int(rig.range_m / rig.step_m)
    steps = np.clip(np.round((hits.distances[rows] + error[rows]) / np.float32(rig.step_m)), 1, most).astype(np.uint16)
    points = along(rig, origins, directions, rows, steps)
    kept = ~_is_own(points, dimensions)
    rows = rows[kept]
    said = np.zeros(rig.num_rays, dtype=np.uint16)
    said[rows] = steps[kept]
    return Sweep(sweep=LidarSweep(points=points[kept]), objects=hits.objects[rows], steps=said)


def _is_own(points: np.ndarray, dimensions: VehicleDimensions) -> np.ndarray:
    """[N] whether points [N, 3] of the ego frame lie on or below the ego itself."""
    x, _, _, length, width = dimensions.boxes(np.zeros(3))
    near = np.abs(points - np.array([x, 0, 0], dtype=np.float32)) <= np.array([length / 2, width / 2, np.inf], np.float32)
    return near[:, 0] & near[:, 1] & (points[:, 2] < dimensions.height)


def _answers(
    stage: Stage, hits: Hits, rows: np.ndarray, directions: np.ndarray, rig: LidarRig, conditions: Conditions
) -> np.ndarray:
    """[R] how likely the rays with indices ``rows``, which hit something, bring a return."""
    normals, materials = stage.facing(hits, rows)
    facing = np.abs(np.einsum("rk,rk->r", normals, np.take(directions, rows, axis=0)))
    distances = hits.distances[rows]
    is_wet = conditions.light is Light.RAIN
    strength = _reflectivities(is_wet)[materials] * facing / np.maximum(distances, 1.0) ** 2
    if is_wet:
        strength *= np.exp(-2 * np.float32(RAIN_DAMPING) * distances)
    lost = rig.dropout + (RAIN_DROPOUT if is_wet else 0.0)
    answers: np.ndarray = (1 - lost) * -np.expm1(np.float32(-np.log(10) / 0.1 * rig.reach_m**2) * strength)
    return answers


def _reflectivities(is_wet: bool) -> np.ndarray:
    """By material value, float32."""
    table = np.array([_REFLECTIVITY[material] for material in Material], dtype=np.float32)
    if is_wet:
        table[list(_WET)] *= RAIN_WETNESS
    return table
