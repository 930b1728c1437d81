"""Bodies of other road users. Every body lies inside its annotated box, so what a sensor hits is what the label says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache

import numpy as np

from diffdrive.scene import AgentKind, Agents
from diffdrive.world.render.mesh import Material, Mesh, assembled, coloured, joined
from diffdrive.world.render.people import person, rider
from diffdrive.world.render.shapes import block, cylinder, side_profile
from diffdrive.world.render.vehicles import vehicle

CONCRETE, ORANGE, RED, WHITE, BLACK = (
    (0.42, 0.41, 0.39),
    (0.90, 0.28, 0.04),
    (0.62, 0.04, 0.03),
    (0.85, 0.85, 0.83),
    (0.05, 0.05, 0.05),
)
LONG_BARRIER_M = 2.2
"""Longer barriers are walls of concrete, shorter ones boards on feet."""


def agents_mesh(agents: Agents, poses: np.ndarray) -> Mesh:
    """All bodies. ``poses`` [A, 3] places the box centres in the wanted frame; z stays height above ground."""
    bodies, places = [], np.zeros((len(poses), 4))
    for row, (token, kind) in enumerate(zip(agents.track_tokens, agents.kinds, strict=True)):
        length, width = (round(float(v), 2) for v in agents.boxes[row, 3:5])
        centre_z, height = (float(v) for v in agents.vertical[row])
        # Rounding down by at most a centimetre lets equal cars share a mesh without leaving the box.
        bodies.append(body_mesh(kind, token, *(max(size - 0.01, 0.05) for size in (length, width, round(height, 2)))))
        places[row] = (*poses[row], centre_z - height / 2)
    return assembled(bodies, places, np.arange(len(bodies)))


@lru_cache(maxsize=4096)
def body_mesh(kind: AgentKind, token: str, length: float, width: float, height: float) -> Mesh:
    """The body of one track, centred on the origin, standing on z = 0, within length x width x height metres."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], "little"))
    if kind is AgentKind.VEHICLE:
        mesh = vehicle(rng, length, width, height)
    elif kind is AgentKind.PEDESTRIAN:
        mesh = person(rng, length, width, height)
    elif kind is AgentKind.BICYCLE:
        mesh = rider(rng, length, width, height)
    elif kind is AgentKind.TRAFFIC_CONE:
        mesh = _cone(length, width, height)
    elif kind is AgentKind.CZONE_SIGN:
        mesh = _works_sign(width, height)
    elif kind is AgentKind.BARRIER:
        mesh = _concrete_barrier(length, width, height) if length > LONG_BARRIER_M else _boards(length, width, height)
    else:
        grey = np.array([0.36, 0.38, 0.36]) * rng.uniform(0.7, 1.3)
        mesh = coloured(block((length, width, height), top=(0.94, 0.94)), Material.MATTE, grey)
    reach = np.array([length / 2, width / 2, height])
    return replace(mesh, triangles=np.clip(mesh.triangles, [-reach[0], -reach[1], 0.0], reach))


def _cone(length: float, width: float, height: float) -> Mesh:
    radius = min(length, width) / 2
    return joined([
        coloured(block((length, width, 0.06 * height)), Material.MATTE, BLACK),
        coloured(cylinder(radius * 0.72, height, sides=8, top=0.18), Material.MATTE, ORANGE),
        coloured(cylinder(radius * 0.56, 0.17 * height, base=0.34 * height, sides=8, top=0.8), Material.SIGN, WHITE),
        coloured(cylinder(radius * 0.36, 0.12 * height, base=0.66 * height, sides=8, top=0.8), Material.SIGN, WHITE),
    ])  # fmt: skip


def _works_sign(width: float, height: float) -> Mesh:
    """A diamond on a pole; it faces the traffic that comes along +x."""
    half, middle = min(width / 2, 0.3 * height), height - min(width / 2, 0.3 * height)
    diamond = np.array([[0.0, -half], [half, 0.0], [0.0, half], [-half, 0.0]])
    plate = side_profile(diamond + [0.0, middle], 0.03)[..., [1, 0, 2]]
    black = side_profile(diamond * 0.34 + [0.0, middle], 0.02)[..., [1, 0, 2]] - [0.02, 0.0, 0.0]
    return joined([
        coloured(cylinder(0.03, middle, sides=5), Material.MATTE, (0.4, 0.4, 0.4)),
        coloured(block((0.25, min(width, 0.5), 0.05)), Material.MATTE, BLACK),
        coloured(plate, Material.SIGN, ORANGE),
        coloured(black, Material.MATTE, BLACK),
    ])  # fmt: skip


def _boards(length: float, width: float, height: float) -> Mesh:
    """Two striped boards on feet."""
    parts = []
    for side in (0.36, -0.36):
        parts.append(coloured(block((0.06, width, 0.05), (side * length, 0)), Material.MATTE, BLACK))
        parts.append(coloured(block((0.06, 0.06, height), (side * length, 0)), Material.MATTE, (0.4, 0.4, 0.4)))
    stripes = 6
    for k in range(stripes):
        x = ((k + 0.5) / stripes - 0.5) * length
        for low, tall in ((0.66, 0.32), (0.26, 0.22)):
            stripe = block((length / stripes, 0.1, tall * height), (x, 0), low * height)
            parts.append(coloured(stripe, Material.SIGN, RED if k % 2 else WHITE))
    return joined(parts)


def _concrete_barrier(length: float, width: float, height: float) -> Mesh:
    return joined([
        coloured(block((length, width, 0.35 * height), top=(1.0, 0.55)), Material.MATTE, CONCRETE),
        coloured(block((length, width * 0.55, 0.65 * height), (0, 0), 0.35 * height, (1.0, 0.7)), Material.MATTE, CONCRETE),
        coloured(block((length * 0.9, width * 0.56, 0.12 * height), base=0.6 * height), Material.SIGN, RED),
    ])  # fmt: skip
