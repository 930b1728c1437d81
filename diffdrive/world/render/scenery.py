"""What stands beside the roads: buildings, trees and lamp posts, placed by a seeded generator, never on road or walkway."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from diffdrive.geometry import Polyline, box_corners
from diffdrive.world.render.extra import need
from diffdrive.world.render.mesh import Material, Mesh, assembled, coloured, joined
from diffdrive.world.render.shading import FLOOR_M, WINDOW_M
from diffdrive.world.render.shapes import BALL_CORNERS, ball, block, cylinder, gable
from diffdrive.world.render.style import Style
from diffdrive.world.render.surfaces import GROUND_Z

ROOF, TRUNK, POST, LAMP = (0.18, 0.175, 0.175), (0.12, 0.075, 0.045), (0.20, 0.21, 0.22), (1.0, 0.86, 0.62)
FLOORS = (1, 2, 3, 4, 6, 9)
LAMP_SPACING_M, LAMP_ARM_M = 32.0, 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """What stands beside the roads."""

    mesh: Mesh
    lamps: np.ndarray
    """[L, 2] points below the street lamps."""


def scenery_of(paved: Any, style: Style, rng: np.random.Generator) -> Scenery:
    """Buildings in rows along the kerbs and in the blocks behind them, trees and lamp posts between."""
    shapely = need("shapely")
    clear = paved.buffer(2.5, quad_segs=2).simplify(0.3)
    shapely.prepare(clear)
    lots = _Lots(clear)
    for ring in _frontage(paved, 3.0):
        _fill_row(ring, lots, rng)
    _fill_blocks(paved.bounds, lots, rng)
    placed = [(lot[:3], _building(lot, style, rng)) for lot in lots.taken]
    built = shapely.union_all(lots.outlines).buffer(1.0) if lots.outlines else shapely.Polygon()
    posts = _lamp_poses(paved, built)
    placed += _trees(paved, built, style, rng) + [(pose, [_lamp_post()]) for pose in posts]
    arms = np.stack([-np.sin(posts[:, 2]), np.cos(posts[:, 2])], axis=1) * LAMP_ARM_M
    meshes = [mesh for _, parts in placed for mesh in parts]
    places = np.array([[*pose, 0.0] for pose, parts in placed for _ in parts])
    return Scenery(mesh=assembled(meshes, places), lamps=posts[:, :2] + arms)


class _Lots:
    """The rectangles taken so far: rows of [x, y, heading, length, width]."""

    def __init__(self, clear: Any) -> None:
        self.clear = clear
        self.taken: list[np.ndarray] = []
        self.outlines: list[Any] = []
        self._discs = np.zeros((0, 3))

    def take(self, lot: np.ndarray) -> bool:
        """Take the rectangle unless it would stand on pavement or in another building."""
        shapely = need("shapely")
        radius = float(np.hypot(lot[3], lot[4])) / 2
        gap = np.hypot(self._discs[:, 0] - lot[0], self._discs[:, 1] - lot[1]) - self._discs[:, 2] - radius
        outline = shapely.Polygon(box_corners(lot))
        if any(self.outlines[i].distance(outline) < 1.0 for i in np.nonzero(gap < 1.0)[0]):
            return False
        if self.clear.intersects(outline):
            return False
        self.taken.append(lot)
        self.outlines.append(outline)
        self._discs = np.concatenate([self._discs, [[lot[0], lot[1], radius]]])
        return True


def _frontage(paved: Any, setback: float) -> list[Polyline]:
    """The lines ``setback`` metres off the pavement, with the pavement on their left."""
    shapely = need("shapely")
    grown = shapely.orient_polygons(paved.buffer(setback, quad_segs=3).simplify(0.2))
    polygons = [part for part in shapely.get_parts(grown) if part.geom_type == "Polygon"]
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)]
    return [Polyline(ring) for ring in rings if len(ring) > 3]


def _fill_row(ring: Polyline, lots: _Lots, rng: np.random.Generator) -> None:
    arc = float(rng.uniform(0, 8))
    while arc < ring.length - 6:
        length, depth, setback = rng.uniform(9, 22), rng.uniform(8, 16), rng.uniform(0.5, 5.0)
        first, last = ring.interpolate(arc)[:2], ring.interpolate(arc + length)[:2]
        chord = last - first
        span = float(np.hypot(*chord))
        # Where the kerb turns, chord and arc differ: a house across the corner would stand in the road.
        if span > 0.9 * length and rng.random() < 0.9:
            out = np.array([chord[1], -chord[0]]) / span
            centre = (first + last) / 2 + out * (setback + depth / 2)
            heading = float(np.arctan2(chord[1], chord[0]))
            if lots.take(np.array([*centre, heading, length, depth])):
                arc += length + rng.uniform(0.5, 9.0)
                continue
        arc += 3.0


def _fill_blocks(bounds: tuple[float, float, float, float], lots: _Lots, rng: np.random.Generator) -> None:
    """A loose grid of further buildings, so that no block and no horizon stays empty."""
    step, margin = 34.0, 130.0
    for x in np.arange(bounds[0] - margin, bounds[2] + margin, step):
        for y in np.arange(bounds[1] - margin, bounds[3] + margin, step):
            centre = np.array([x, y]) + rng.uniform(-9, 9, 2)
            size = rng.uniform([10, 9], [24, 18])
            heading = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.08)
            if rng.random() < 0.75:
                lots.take(np.array([*centre, heading, *size]))


def _building(lot: np.ndarray, style: Style, rng: np.random.Generator) -> list[Mesh]:
    """Parts in the frame of the lot."""
    length, depth = float(lot[3]), float(lot[4])
    floors = int(rng.choice(FLOORS, p=style.heights))
    height = floors * FLOOR_M + 0.35
    colour = style.walls[rng.integers(len(style.walls))] * rng.uniform(0.88, 1.12)
    pattern = int(rng.integers(len(style.facades)))
    parts = [_walls(length, depth, (GROUND_Z, height), colour, pattern)]
    if floors <= 2 and rng.random() < 0.75:
        roof = gable((length + 0.5, depth + 0.5, 0.32 * depth), height)
        tiles = style.tiles[rng.integers(len(style.tiles))] * rng.uniform(0.7, 1.3)
        parts.append(coloured(roof, Material.MATTE, tiles))
        chimney = block((0.7, 0.7, 0.30 * depth), (rng.uniform(-0.3, 0.3) * length, 0.18 * depth), height + 0.1 * depth)
        parts.append(coloured(chimney[:10], Material.MATTE, colour * 0.7))
        return parts
    parts.append(coloured(block((length + 0.3, depth + 0.3, 0.45), base=height), Material.MATTE, colour * 0.7))
    parts.append(coloured(block((length * 0.3, depth * 0.4, 1.8), (0.2 * length, 0), height + 0.4), Material.MATTE, ROOF))
    if floors > 5:
        top = height + max(2, floors // 3) * FLOOR_M
        parts.append(_walls(length * 0.7, depth * 0.7, (height, top), colour, pattern))
        parts.append(coloured(block((length * 0.72, depth * 0.72, 0.4), base=top), Material.MATTE, colour * 0.7))
    return parts


def _walls(length: float, depth: float, heights: tuple[float, float], colour: np.ndarray, pattern: int) -> Mesh:
    """Four walls without floor and lid, which nobody sees; whole windows on each."""
    low, high = heights
    sides = block((length, depth, high - low), base=low)[:8]
    windows = np.maximum(np.round(np.array([length, depth, length, depth]) / WINDOW_M), 1)
    none = np.zeros(4)
    along = np.concatenate([np.stack([none, windows, windows], axis=1), np.stack([none, windows, none], axis=1)])
    return coloured(sides, Material.FACADE, colour, pattern=pattern, along=along)


def _trees(paved: Any, built: Any, style: Style, rng: np.random.Generator) -> list[tuple[np.ndarray, list[Mesh]]]:
    """Pose and parts of each."""
    shapely = need("shapely")
    spots = []
    for ring in _frontage(paved, 1.0):
        arcs = np.arange(rng.uniform(2, 9), ring.length, 11.0)
        arcs = arcs + rng.uniform(-3, 3, len(arcs))
        poses = ring.interpolate(arcs[rng.random(len(arcs)) < 0.55])
        out = np.stack([np.sin(poses[:, 2]), -np.cos(poses[:, 2])], axis=1)
        spots.append(poses[:, :2] + out * rng.uniform(0.4, 6.0, (len(poses), 1)))
    points = np.concatenate(spots) if spots else np.zeros((0, 2))
    blocked = shapely.intersects_xy(built, points[:, 0], points[:, 1])
    blocked |= shapely.intersects_xy(paved.buffer(0.6, quad_segs=2), points[:, 0], points[:, 1])
    return [_tree(point, style, rng) for point in points[~blocked]]


def _tree(point: np.ndarray, style: Style, rng: np.random.Generator) -> tuple[np.ndarray, list[Mesh]]:
    height = rng.uniform(3.8, 8.0)
    colour = style.leaves[rng.integers(len(style.leaves))] * rng.uniform(0.8, 1.25)
    trunk = coloured(cylinder(0.15, 0.5 * height, base=GROUND_Z, sides=4, top=0.7)[:8], Material.MATTE, TRUNK)
    species = int(rng.choice(3, p=style.species))
    if species == 1:
        lower = cylinder(0.24 * height, 0.55 * height, base=0.22 * height, sides=8, top=0.3)
        upper = cylinder(0.15 * height, 0.4 * height, base=0.66 * height, sides=8, top=0.03)
        crown = [coloured(lower, Material.LEAF, colour * 0.8), coloured(upper, Material.LEAF, colour)]
    else:
        noise = rng.uniform(0.82, 1.18, len(BALL_CORNERS))
        radii = (0.27, 0.33, 0.66) if species == 0 else (0.15, 0.42, 0.58)
        faces = ball((radii[0] * height, radii[0] * height, radii[1] * height), (0, 0, radii[2] * height), noise)
        shade = 0.75 + 0.5 * np.clip(faces[..., 2].mean(axis=1) / height - 0.4, 0, 0.6)[:, None]
        crown = [coloured(faces, Material.LEAF, colour * shade)]
    return np.array([*point, rng.uniform(0, np.pi)]), [trunk, *crown]


def _lamp_poses(paved: Any, built: Any) -> np.ndarray:
    """[L, 3] one every 32 m, looking along the kerb with the road on its left."""
    shapely = need("shapely")
    rings = [ring.interpolate(np.arange(6.0, ring.length, LAMP_SPACING_M)) for ring in _frontage(paved, 0.5)]
    poses = np.concatenate(rings) if rings else np.zeros((0, 3))
    return poses[~shapely.intersects_xy(built, poses[:, 0], poses[:, 1])]


@lru_cache(maxsize=1)
def _lamp_post() -> Mesh:
    """A street lamp, its arm over the road."""
    return joined([
        coloured(cylinder(0.09, 7.5, base=GROUND_Z, sides=4, top=0.6)[:8], Material.MATTE, POST),
        coloured(block((0.08, LAMP_ARM_M, 0.08), (0.0, LAMP_ARM_M / 2), 7.35)[[1, 3, 5, 7]], Material.MATTE, POST),
        coloured(block((0.24, 0.6, 0.06), (0.0, LAMP_ARM_M), 7.34)[:8], Material.MATTE, POST),
        coloured(block((0.24, 0.6, 0.05), (0.0, LAMP_ARM_M), 7.29)[:10], Material.LAMP, LAMP),
    ])  # fmt: skip
