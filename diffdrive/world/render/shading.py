"""How light falls: one set of numbers, and the formula in numpy. ``shaders`` holds the same formula as GLSL.

colour = base x (ambient by up-facing + sun x max(n . s, 0) x shadow), a share of mirrored sky, fog towards the sky, gamma.
"""

from __future__ import annotations

import numpy as np

from diffdrive.world.render.mesh import Material

SPEC_VERSION = 1
"""Raise it whenever the look of an image changes: cached renderings of other versions are not used."""

SUN = np.array([0.48, 0.34, 0.72]) / np.linalg.norm([0.48, 0.34, 0.72])
"""[3] direction to the sun in the world frame."""

SUN_COLOUR = np.array([2.05, 1.88, 1.60])
AMBIENT_SKY = np.array([0.55, 0.64, 0.80])
AMBIENT_GROUND = np.array([0.36, 0.34, 0.31])
SKY_HORIZON = np.array([0.66, 0.77, 0.88])
SKY_ZENITH = np.array([0.10, 0.27, 0.62])
SHADE = 0.06
"""Share of sunlight that a shadow lets through."""

FOG_M = 480.0
GAMMA = 1 / 2.0
EXPOSURE = 0.92
LAMP_GAIN = 1.25
SHADOW_REACH_M = 60.0
"""Distance from the point ahead of the ego within which shadows are drawn."""

SHADOW_AHEAD_M = 30.0
MIRROR = {Material.PAINT: 0.10, Material.GLASS: 0.42}
SPECKLE_M, SPECKLE_FADE_M, SPECKLE = 0.125, 28.0, 0.16
PATCH_M, PATCH = 6.0, 0.07
WINDOW_M, FLOOR_M = 2.8, 3.3


def cell_hash(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A pseudo-random number in [0, 1) per integer cell; 32-bit integer arithmetic, so the shader gets the same."""
    h = (x.astype(np.int64) * 73856093 ^ y.astype(np.int64) * 19349663).astype(np.uint32)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    return ((h ^ (h >> np.uint32(15))) & np.uint32(0xFFFF)).astype(np.float32) / 65536.0


def sky(directions: np.ndarray) -> np.ndarray:
    """Linear colour of the sky [N, 3] in unit directions [N, 3]."""
    up = np.sqrt(np.clip(directions[:, 2:3], 0.0, 1.0))
    glow = np.clip(directions @ SUN.astype(directions.dtype), 0.0, 1.0)[:, None] ** 24 * 0.35
    return SKY_HORIZON * (1 - up) + SKY_ZENITH * up + glow * np.array([1.0, 0.92, 0.75])


def develop(colours: np.ndarray) -> np.ndarray:
    """Linear colours [..., 3] to 8-bit sRGB-like values."""
    return (np.clip(colours * EXPOSURE, 0.0, 1.0) ** GAMMA * 255.0 + 0.5).astype(np.uint8)


def shade(
    points: np.ndarray,
    directions: np.ndarray,
    distances: np.ndarray,
    normals: np.ndarray,
    materials: np.ndarray,
    colours: np.ndarray,
    sunlight: np.ndarray,
) -> np.ndarray:
    """Linear colours [N, 3] of surface points [N, 3] seen along ``directions`` [N, 3] from ``distances`` [N] metres.

    ``normals`` face the eye; ``sunlight`` [N] is 1 in the open and ``SHADE`` in shadow.
    """
    base = _surface(points, distances, normals, materials, colours)
    facing = np.clip(normals @ SUN, 0.0, 1.0) * sunlight
    up = (normals[:, 2:3] + 1) / 2
    colour = base * (AMBIENT_GROUND * (1 - up) + AMBIENT_SKY * up + SUN_COLOUR * facing[:, None])
    mirror = np.zeros(len(Material))
    for material, share in MIRROR.items():
        mirror[material] = share
    share = mirror[materials][:, None]
    cosine = np.sum(directions * normals, axis=1, keepdims=True)
    share = share + (1 - share) * share * (1 - np.abs(cosine)) ** 3
    colour = colour * (1 - share) + share * sky(directions - 2 * cosine * normals)
    colour = np.where((materials == Material.LAMP)[:, None], colours * LAMP_GAIN, colour)
    clear = np.exp(-distances / FOG_M)[:, None]
    return colour * clear + sky(directions) * (1 - clear)


def _surface(
    points: np.ndarray, distances: np.ndarray, normals: np.ndarray, materials: np.ndarray, colours: np.ndarray
) -> np.ndarray:
    """Base colours with speckle on the ground and windows on facades."""
    base = np.array(colours)
    rows = np.nonzero(materials == Material.GROUND)[0]
    cell = np.floor(points[rows, :2] / SPECKLE_M)
    patch = np.floor(points[rows, :2] / PATCH_M)
    fine = (cell_hash(cell[:, 0], cell[:, 1]) - 0.5) * SPECKLE * np.clip(1 - distances[rows] / SPECKLE_FADE_M, 0.0, 1.0)
    coarse = (cell_hash(patch[:, 0], patch[:, 1]) - 0.5) * PATCH
    base[rows] *= (1 + fine + coarse)[:, None]
    rows = np.nonzero(materials == Material.FACADE)[0]
    along = points[rows, 1] * normals[rows, 0] - points[rows, 0] * normals[rows, 1]
    column, floor = along / WINDOW_M, points[rows, 2] / FLOOR_M
    u, v = column - np.floor(column), floor - np.floor(floor)
    street = floor < 1
    width, sill, head = np.where(street, 0.10, 0.24), np.where(street, 0.16, 0.30), np.where(street, 0.80, 0.82)
    is_window = (u > width) & (u < 1 - width) & (v > sill) & (v < head)
    tone = cell_hash(np.floor(column), np.floor(floor))[:, None]
    pane = np.array([0.05, 0.065, 0.085]) + np.array([0.16, 0.15, 0.12]) * tone**3
    ledge = ((v > 0.95) & ~street)[:, None]
    base[rows] = np.where(is_window[:, None], pane, base[rows] * np.where(ledge, 0.8, 1.0))
    return base
