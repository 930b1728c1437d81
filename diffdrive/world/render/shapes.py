"""Solids and ribbons as triangles [T, 3, 3], in plain numpy. Every solid stands on the plane z = ``base`` of its own frame."""

from __future__ import annotations

import numpy as np

# Corners of a block: bottom ring counter-clockwise, then the top ring.
_RING = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64) / 2


def block(
    size: tuple[float, float, float],
    centre: tuple[float, float] = (0.0, 0.0),
    base: float = 0.0,
    top: tuple[float, float] = (1.0, 1.0),
    shift: float = 0.0,
) -> np.ndarray:
    """A box [12, 3, 3] of length, width, height; its lid is scaled by ``top`` and moved forward by ``shift`` metres."""
    length, width, height = size
    bottom = _RING * [length, width] + centre
    lid = _RING * [length * top[0], width * top[1]] + centre + [shift, 0.0]
    return _loft(_raised(bottom, base), _raised(lid, base + height))


def cylinder(radius: float, height: float, centre: tuple[float, float] = (0.0, 0.0), base: float = 0.0,
             sides: int = 6, top: float = 1.0) -> np.ndarray:  # fmt: skip
    """An upright cylinder with ``sides`` faces; its lid's radius is scaled by ``top`` (near 0: a cone)."""
    angle = np.arange(sides) * (2 * np.pi / sides)
    ring = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _loft(_raised(ring + centre, base), _raised(ring * top + centre, base + height))


def wheel(radius: float, width: float, centre: tuple[float, float], sides: int = 10) -> np.ndarray:
    """A wheel that stands on z = 0 and rolls along x."""
    upright = cylinder(radius, width, sides=sides) - [0, 0, width / 2]
    lying = upright[..., [0, 2, 1]] * [1, -1, 1]
    return lying + [centre[0], centre[1], radius]


def side_profile(profile: np.ndarray, width: float, top_width: float = 1.0) -> np.ndarray:
    """A convex outline [P, 2] of (x, z), counter-clockwise seen from the right, drawn out along y.

    Corners above the middle height are narrowed to ``top_width`` times the width.
    """
    profile = np.asarray(profile, dtype=np.float64)
    high = profile[:, 1] > (profile[:, 1].min() + profile[:, 1].max()) / 2
    half = width / 2 * np.where(high, top_width, 1.0)
    right = np.stack([profile[:, 0], -half, profile[:, 1]], axis=1)
    return _loft(right * [1, -1, 1], right)


def ball(radii: tuple[float, float, float], centre: tuple[float, float, float], noise: np.ndarray | None = None) -> np.ndarray:
    """A faceted ball [32, 3, 3]; ``noise`` [18] scales the corners to make it irregular."""
    corners = BALL_CORNERS if noise is None else BALL_CORNERS * noise[:, None]
    return (corners * radii + centre)[_BALL_FACES]


def ribbon(points: np.ndarray, width: float, z: float, offset: float = 0.0) -> np.ndarray:
    """A flat band of ``width`` along the polyline [K, 2], moved ``offset`` to its left: [2 (K - 1), 3, 3]."""
    points = np.asarray(points, dtype=np.float64)
    step = np.diff(points, axis=0)
    step = step / np.maximum(np.hypot(step[:, 0], step[:, 1])[:, None], 1e-9)
    tangent = np.concatenate([step[:1], step[:-1] + step[1:], step[-1:]])
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal = normal / np.maximum(np.hypot(normal[:, 0], normal[:, 1])[:, None], 1e-9)
    left = _raised(points + normal * (offset + width / 2), z)
    right = _raised(points + normal * (offset - width / 2), z)
    lower = np.stack([left[:-1], right[:-1], right[1:]], axis=1)
    upper = np.stack([left[:-1], right[1:], left[1:]], axis=1)
    return np.concatenate([lower, upper])


def wall(ring: np.ndarray, low: float, high: float) -> np.ndarray:
    """Upright faces along the polyline [K, 2] from ``low`` to ``high``: [2 (K - 1), 3, 3]."""
    a, b = np.asarray(ring)[:-1, :2], np.asarray(ring)[1:, :2]
    a0, b0, a1, b1 = _raised(a, low), _raised(b, low), _raised(a, high), _raised(b, high)
    return np.concatenate([np.stack([a0, b0, b1], axis=1), np.stack([a0, b1, a1], axis=1)])


def gable(size: tuple[float, float, float], base: float) -> np.ndarray:
    """A pitched roof over a length x width rectangle, its ridge along x: [6, 3, 3] without a floor."""
    length, width, height = size
    eaves = _raised(_RING * [length, width], base)
    ridge = np.array([[-length / 2, 0, base + height], [length / 2, 0, base + height]])
    a, b, c, d = eaves
    r0, r1 = ridge
    return np.array([[a, b, r1], [a, r1, r0], [c, d, r0], [c, r0, r1], [b, c, r1], [d, a, r0]])


def _loft(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Close two rings [P, 3] into a solid: side faces and two fans."""
    a, b = first, np.roll(first, -1, axis=0)
    c, d = second, np.roll(second, -1, axis=0)
    sides = np.concatenate([np.stack([a, b, d], axis=1), np.stack([a, d, c], axis=1)])
    count = len(first)
    fan = np.stack([np.zeros(count - 2, dtype=int), np.arange(1, count - 1), np.arange(2, count)], axis=1)
    return np.concatenate([sides, first[fan[:, ::-1]], second[fan]])


def _raised(points: np.ndarray, z: float) -> np.ndarray:
    return np.concatenate([points, np.full((len(points), 1), z)], axis=1)


def _ball() -> tuple[np.ndarray, np.ndarray]:
    """An octahedron subdivided once: 18 corners on the unit sphere, 32 faces."""
    corners = [(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    faces = [(i, (i + 1) % 4, 4) for i in range(4)] + [((i + 1) % 4, i, 5) for i in range(4)]
    points = [np.array(c, dtype=np.float64) for c in corners]
    middle: dict[tuple[int, int], int] = {}

    def between(i: int, j: int) -> int:
        key = (min(i, j), max(i, j))
        if key not in middle:
            middle[key] = len(points)
            half = points[i] + points[j]
            points.append(half / np.linalg.norm(half))
        return middle[key]

    small = []
    for i, j, k in faces:
        ij, jk, ki = between(i, j), between(j, k), between(k, i)
        small += [(i, ij, ki), (ij, j, jk), (ki, jk, k), (ij, jk, ki)]
    return np.array(points), np.array(small)


BALL_CORNERS, _BALL_FACES = _ball()
