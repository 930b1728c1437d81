"""How light falls: the formula in numpy, with numbers from ``lighting`` and ``style``. ``shaders`` holds the same as GLSL.

colour = base x (ambient by up-facing + sun x max(n . s, 0) x shadow + lamps), a share of mirrored sky, fog, gamma.
N points of one image. Every branch of the formula is written for one group of materials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.world.render.lighting import Lighting
from diffdrive.world.render.mesh import Material
from diffdrive.world.render.style import Style

SPEC_VERSION = 2
"""Raise it whenever the look of an image changes: cached renderings of other versions are not used."""

GAMMA = 1 / 2.0
SHADOW_REACH_M = 60.0
"""Distance from the point ahead of the ego within which shadows are drawn."""

SHADOW_AHEAD_M = 30.0
SHADOW_DEPTH_M = 200.0
"""Farther towards the sun than this from that point, nothing throws a shadow there."""

MIRROR = {Material.PAINT: 0.10, Material.GLASS: 0.42}
GRAIN_M, GRAIN_FADE_M = 0.125, 28.0
STAIN_M, CRACK_M, REPAIR_M, LAWN_M = 5.0, 2.2, 11.0, 7.0
WINDOW_M, FLOOR_M = 2.8, 3.3
LAMP_COLOUR = (1.0, 0.78, 0.48)
BEAM_COLOUR = (1.0, 0.96, 0.86)
BEAM_X_M = 3.9
"""The ego's headlights, ahead of its rear axle."""

ROAD_LIKE = (Material.GROUND, Material.ASPHALT, Material.PAVING, Material.MARKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """What N points are made of. ``normals`` [N, 3] face the eye; the rest is [N] or [N, 3]."""

    points: np.ndarray
    distances: np.ndarray
    normals: np.ndarray
    materials: np.ndarray
    patterns: np.ndarray
    colours: np.ndarray
    along: np.ndarray

    def rows(self, wanted: np.ndarray) -> Surface:
        return Surface(**{name: getattr(self, name)[wanted] for name in self.__slots__})


def cell_hash(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A pseudo-random number in [0, 1) per integer cell; 32-bit integer arithmetic, so the shader gets the same."""
    h = (x.astype(np.int64) * 73856093 ^ y.astype(np.int64) * 19349663).astype(np.uint32)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    return ((h ^ (h >> np.uint32(15))) & np.uint32(0xFFFF)).astype(np.float32) / 65536.0


def smooth_noise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Hashes of the four cells around, blended: noise without edges in [0, 1)."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    low = cell_hash(i, j) * (1 - u) + cell_hash(i + 1, j) * u
    high = cell_hash(i, j + 1) * (1 - u) + cell_hash(i + 1, j + 1) * u
    return low * (1 - v) + high * v


def sky(directions: np.ndarray, light: Lighting) -> np.ndarray:
    """Linear colour of the cloudless sky [N, 3] in unit directions [N, 3]."""
    up = np.sqrt(np.clip(directions[:, 2:3], 0.0, 1.0))
    toward = np.clip(directions @ light.array("sun"), 0.0, 1.0)[:, None]
    horizon = light.array("horizon") + light.array("sunset") * toward**4
    halo = light.halo * toward**24 * np.array([1.0, 0.92, 0.75], dtype=np.float32)
    return horizon * (1 - up) + light.array("zenith") * up + halo


def clouded_sky(directions: np.ndarray, light: Lighting) -> np.ndarray:
    """The sky as it is seen: clouds thin out towards the horizon, where fog and sky must meet."""
    z = np.clip(directions[:, 2], 0.0, 1.0)
    x, y = (directions[:, k] / (z + 0.12) * 1.3 + light.drift[k] for k in (0, 1))
    noise = 0.57 * smooth_noise(x, y) + 0.29 * smooth_noise(x * 2.1, y * 2.1) + 0.14 * smooth_noise(x * 4.3, y * 4.3)
    share = np.clip((noise - 1 + light.cover + 0.25) / 0.3, 0.0, 1.0) * light.clouds * np.clip(z * 5.0, 0.0, 1.0)
    return sky(directions, light) * (1 - share[:, None]) + light.array("cloud_colour") * share[:, None]


def develop(colours: np.ndarray, light: Lighting) -> np.ndarray:
    """Linear colours [..., 3] to 8-bit sRGB-like values."""
    return (np.clip(colours * light.exposure, 0.0, 1.0) ** GAMMA * 255.0 + 0.5).astype(np.uint8)


def shade(
    seen: Surface, directions: np.ndarray, sunlight: np.ndarray, lamplight: np.ndarray, light: Lighting, style: Style
) -> np.ndarray:
    """Linear colours [N, 3] of what is seen along ``directions`` [N, 3].

    ``sunlight`` [N] is 1 in the open and ``light.shade`` in shadow; ``lamplight`` [N, 3] is what lamps add.
    """
    base, mirror, glow = _materials(seen, light, style)
    facing = np.clip(seen.normals @ light.array("sun"), 0.0, 1.0)
    # A shadow map cannot tell who shades what along grazing light, so that light is left out.
    facing = facing * np.clip(facing * 5.0, 0.0, 1.0) * sunlight
    up = (seen.normals[:, 2:3] + 1) / 2
    irradiance = light.array("ambient_ground") * (1 - up) + light.array("ambient_sky") * up
    colour = base * (irradiance + light.array("sun_colour") * facing[:, None] + lamplight) + glow
    cosine = np.sum(directions * seen.normals, axis=1, keepdims=True)
    away = 1 - np.abs(cosine)
    share = mirror[:, :1] + mirror[:, 1:] * away * away * away * away
    rows = np.nonzero(share[:, 0] > 0)[0]
    mirrored = sky(directions[rows] - 2 * cosine[rows] * seen.normals[rows], light)
    colour[rows] += share[rows] * (mirrored - colour[rows])
    lamps = np.minimum(seen.colours * light.lamp_gain, 1.6)
    colour = np.where((seen.materials == Material.LAMP)[:, None], lamps, colour)
    clear = np.exp(-seen.distances / light.fog_m)[:, None]
    return colour * clear + sky(directions, light) * (1 - clear)


def lamplight(points: np.ndarray, lamps: np.ndarray, ego_pose: np.ndarray, light: Lighting) -> np.ndarray:
    """[N, 3] from street lamps, whose brightness on the ground is ``lamps`` [N], and from the ego's headlights."""
    street = lamps * np.exp(-np.clip(points[:, 2], 0.0, None) / 4.0)
    c, s = np.cos(ego_pose[2]), np.sin(ego_pose[2])
    step = points[:, :2] - ego_pose[:2]
    x, y = c * step[:, 0] + s * step[:, 1] - BEAM_X_M, c * step[:, 1] - s * step[:, 0]
    side = np.clip(1 - np.abs(y) / (0.42 * np.clip(x, 0.0, None) + 1.6), 0.0, 1.0)
    beam = np.where(x > 0, side * np.clip(x * 0.5, 0.0, 1.0), 0.0)
    beam = beam / (1 + x * x / 300.0) * np.clip(1.6 - points[:, 2] / 1.4, 0.15, 1.0)
    return light.lamps * (0.8 * street[:, None] * np.array(LAMP_COLOUR) + 0.75 * beam[:, None] * np.array(BEAM_COLOUR))


def _materials(seen: Surface, light: Lighting, style: Style) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Base colour [N, 3], mirrored share [N, 2] head-on and what grazing adds, own light [N, 3]."""
    base = np.array(seen.colours, dtype=np.float32)
    glow, mirror = np.zeros_like(base), np.zeros((len(base), 2), dtype=np.float32)
    for material, share in MIRROR.items():
        mirror[seen.materials == material] = (share, (1 - share) * share)
    rows = np.nonzero(seen.materials == Material.FACADE)[0]
    base[rows], mirror[rows], glow[rows] = _facade(seen.rows(rows), light, style)
    rows = np.nonzero(np.isin(seen.materials, ROAD_LIKE))[0]
    base[rows], mirror[rows] = _ground(seen.rows(rows), light, style)
    rows = np.nonzero(seen.materials == Material.LEAF)[0]
    x, y, z = np.floor(seen.points[rows].T * 2.5)
    base[rows] *= (0.75 + 0.5 * cell_hash(x + 57 * z, y))[:, None]
    rows = np.nonzero(seen.materials == Material.SIGN)[0]
    glow[rows] = seen.colours[rows] * (0.4 * light.lamps / (1 + seen.distances[rows, None] / 25.0))
    return base, mirror, glow


def _ground(seen: Surface, light: Lighting, style: Style) -> tuple[np.ndarray, np.ndarray]:
    x, y = seen.points[:, 0], seen.points[:, 1]
    near = np.clip(1 - seen.distances / GRAIN_FADE_M, 0.0, 1.0)
    grain = cell_hash(np.floor(x / GRAIN_M), np.floor(y / GRAIN_M))
    stain = smooth_noise(x / STAIN_M, y / STAIN_M)
    is_road, is_paving = seen.materials == Material.ASPHALT, seen.materials == Material.PAVING
    tone = 1 + (grain - 0.5) * style.road[0] * near
    tone = tone + (stain - 0.5) * np.where(is_road, style.road[1], 0.15)
    tone = np.where(is_road, tone * _damage(x, y, stain, near, style), tone)
    slab_x, slab_y = x / style.slabs[0], y / style.slabs[0]
    joint = (np.minimum(slab_x - np.floor(slab_x), slab_y - np.floor(slab_y)) * style.slabs[0] < 0.04) * style.slabs[1]
    slab = (cell_hash(np.floor(slab_x), np.floor(slab_y)) - 0.5) * 0.18
    tone = np.where(is_paving, tone * (1 + (slab - joint) * np.clip(near * 1.6, 0.0, 1.0)), tone)
    lawn = smooth_noise(x / LAWN_M + 31, y / LAWN_M) - 0.5
    tone = np.where(seen.materials == Material.GROUND, tone * (1 + 0.5 * lawn), tone)
    base = seen.colours * tone[:, None]
    worn = np.clip((style.wear * (0.5 + stain) - grain) * 6.0 * near + style.wear * (1 - near) * 0.7, 0.0, 0.85)
    worn = np.where(seen.materials == Material.MARKING, worn, 0.0)[:, None]
    base = base * (1 - worn) + style.asphalt * worn
    water = np.where(seen.materials == Material.GROUND, 0.0, light.wet)
    puddle = np.clip((stain - 0.45) * 4.0, 0.0, 1.0)
    return base * (1 - 0.5 * water)[:, None], np.stack([water * 0.10 * puddle, water * (0.35 + 0.35 * puddle)], axis=1)


def _damage(x: np.ndarray, y: np.ndarray, stain: np.ndarray, near: np.ndarray, style: Style) -> np.ndarray:
    """What time has done to asphalt: cracks sealed with tar, and rectangles of newer asphalt."""
    ridge = np.abs(smooth_noise(x / CRACK_M + 17, y / CRACK_M + 5) - 0.5)
    crack = (ridge < 0.007) & (stain > 1 - style.road[2])
    cell_x, cell_y = np.floor(x / REPAIR_M), np.floor(y / REPAIR_M)
    chance = cell_hash(cell_x + 911, cell_y)
    first, second = (chance * k - np.floor(chance * k) for k in (61.0, 113.0))
    middle_x, middle_y = (cell_x + 0.3 + 0.4 * first) * REPAIR_M, (cell_y + 0.3 + 0.4 * second) * REPAIR_M
    inside = (np.abs(x - middle_x) < 0.6 + 2.4 * second) & (np.abs(y - middle_y) < 0.6 + 2.4 * first)
    repaired = np.where(inside & (chance < style.road[3]), 0.68 + 0.5 * first, 1.0)
    return repaired * np.where(crack, 1 - 0.45 * np.clip(near * 1.5, 0.0, 1.0), 1.0)


def _facade(seen: Surface, light: Lighting, style: Style) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = style.facades[seen.patterns % len(style.facades)].transpose(1, 2, 0)
    z = seen.points[:, 2]
    column, floor = np.floor(seen.along), np.floor(z / FLOOR_M)
    u, v = seen.along - column, z / FLOOR_M - floor
    street = floor < 1
    shop = street & (cell_hash(np.floor(seen.along / 4 + 0.01), seen.patterns + 3) < second[2])
    door = street & ~shop & (cell_hash(column, seen.patterns + 71) < 0.22)
    margin = np.where(shop, 0.05, np.where(door, 0.32, first[0]))
    sill, head = np.where(shop, 0.14, np.where(door, 0.0, first[1])), np.where(shop, 0.70, np.where(door, 0.68, first[2]))
    edge = np.minimum(np.minimum(u - margin, 1 - margin - u) * WINDOW_M, np.minimum(v - sill, head - v) * FLOOR_M)
    bar = (np.abs(u - 0.5) < second[0]) & ~shop & ~door
    is_pane, is_frame = (edge > 0) & ~bar & ~door, (edge > -0.12) & ~shop
    tone = cell_hash(column, floor + 40 * seen.patterns)
    wall = seen.colours * _wall(seen, first[3])[:, None]
    wall = wall * np.where((v > 0.95) & ~street & (second[3] > 0.5), 0.78, 1.0)[:, None]
    accent = np.stack([tone * k - np.floor(tone * k) for k in (1.0, 61.0, 113.0)], axis=1) * 0.5 + 0.04
    base = np.where((shop & (v > 0.73) & (v < 0.95))[:, None], accent, wall)
    base = np.where(is_frame[:, None], np.where(door, 0.10, second[1])[:, None], base)
    pane = np.array([0.05, 0.065, 0.085]) + np.array([0.16, 0.15, 0.12]) * (tone**3)[:, None]
    base = np.where(is_pane[:, None], pane, base)
    lit = is_pane & ((tone < light.lit) | (shop & (light.lit > 0.1)))
    glow = np.where(lit[:, None], np.array([0.85, 0.60, 0.30]) * (0.35 + 1.2 * tone)[:, None], 0.0)
    mirror = np.stack([np.where(is_pane, 0.14, 0.0), np.where(is_pane, 0.5, 0.0)], axis=1)
    return base, mirror, glow


def _wall(seen: Surface, kind: np.ndarray) -> np.ndarray:
    """Bricks, boards or plaster, darker where rain splashes up."""
    x, z = seen.along * WINDOW_M, seen.points[:, 2]
    near = np.clip(1 - seen.distances / 45.0, 0.0, 1.0)
    row = np.floor(z / 0.2)
    brick = (cell_hash(np.floor(x / 0.45 + 0.5 * np.mod(row, 2.0)), row) - 0.5) * 0.35
    board = -0.25 * (z / 0.24 - np.floor(z / 0.24) > 0.86)
    plaster = (smooth_noise(x * 0.8, z * 0.5) - 0.5) * 0.2
    texture = np.where(kind < 0.5, plaster, np.where(kind < 1.5, brick * near, board * near))
    return (1 + texture) * (0.78 + 0.22 * np.clip(z / 3.0, 0.0, 1.0))
