"""Bodies of other road users. Every body lies inside its annotated box, so what a sensor hits is what the label says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache

import numpy as np

from diffdrive.scene import AgentKind, Agents
from diffdrive.world.render.mesh import Material, Mesh, coloured, joined
from diffdrive.world.render.shapes import ball, block, cylinder, side_profile, wheel

PAINTS = np.array(
    [[0.72, 0.72, 0.74], [0.06, 0.06, 0.07], [0.88, 0.88, 0.87], [0.42, 0.04, 0.05], [0.06, 0.13, 0.36], [0.30, 0.31, 0.33],
     [0.10, 0.25, 0.17], [0.55, 0.50, 0.40], [0.16, 0.30, 0.50], [0.78, 0.52, 0.10]]
)  # fmt: skip
CLOTHES = np.array(
    [[0.55, 0.10, 0.10], [0.12, 0.22, 0.48], [0.75, 0.72, 0.66], [0.12, 0.12, 0.14], [0.20, 0.42, 0.24], [0.80, 0.62, 0.12],
     [0.42, 0.25, 0.45]]
)  # fmt: skip
SKINS = np.array([[0.80, 0.60, 0.48], [0.62, 0.42, 0.30], [0.38, 0.24, 0.17]])
TYRE, HUB, WINDOW, DARK = (0.03, 0.03, 0.035), (0.45, 0.45, 0.47), (0.05, 0.06, 0.08), (0.07, 0.07, 0.08)
CONCRETE = (0.42, 0.41, 0.39)
HEADLIGHT, TAILLIGHT, PLATE = (0.95, 0.95, 0.88), (0.65, 0.03, 0.03), (0.8, 0.8, 0.76)

LONG_VEHICLE_M = 6.6
TALL_CAR_M = 1.62


def agents_mesh(agents: Agents, poses: np.ndarray) -> Mesh:
    """All bodies. ``poses`` [A, 3] places the box centres in the wanted frame; z stays height above ground."""
    parts = []
    for row, (token, kind) in enumerate(zip(agents.track_tokens, agents.kinds, strict=True)):
        length, width = (round(float(v), 2) for v in agents.boxes[row, 3:5])
        centre_z, height = (float(v) for v in agents.vertical[row])
        # Rounding down by at most a centimetre lets equal cars share a mesh without leaving the box.
        body = body_mesh(kind, token, *(max(size - 0.01, 0.05) for size in (length, width, round(height, 2))))
        parts.append(body.placed(poses[row], z=centre_z - height / 2, object_row=row))
    return joined(parts)


@lru_cache(maxsize=4096)
def body_mesh(kind: AgentKind, token: str, length: float, width: float, height: float) -> Mesh:
    """The body of one track, centred on the origin, standing on z = 0, within length x width x height metres."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], "little"))
    if kind is AgentKind.VEHICLE:
        mesh = _truck(rng, length, width, height) if length > LONG_VEHICLE_M else _car(rng, length, width, height)
    elif kind is AgentKind.PEDESTRIAN:
        mesh = _person(rng, length, width, height)
    elif kind is AgentKind.BICYCLE:
        mesh = _cyclist(rng, length, width, height)
    else:
        mesh = _furniture(kind, rng, length, width, height)
    reach = np.array([length / 2, width / 2, height])
    inside = np.clip(mesh.triangles, [-reach[0], -reach[1], 0.0], reach)
    return replace(mesh, triangles=inside)


def _car(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    colour = PAINTS[rng.integers(len(PAINTS))] * rng.uniform(0.85, 1.1)
    tall = height >= TALL_CAR_M
    floor, belt, w = 0.16 * height, (0.56 if tall else 0.60) * height, width * 0.97
    rear, front = -length / 2, length / 2
    nose = belt * 0.9
    body = np.array(
        [[rear + 0.05, floor], [front - 0.08, floor], [front, floor + 0.35 * (belt - floor)], [front - 0.06 * length, nose],
         [front - 0.26 * length, belt], [rear + 0.02 * length, belt], [rear, floor + 0.6 * (belt - floor)]]
    )  # fmt: skip
    tail = rear + (0.02 if tall else 0.13) * length
    cabin = np.array(
        [[tail, belt], [front - 0.24 * length, belt], [front - 0.40 * length, height * 0.97],
         [tail + (0.05 if tall else 0.12) * length, height * 0.97]]
    )  # fmt: skip
    roof_length, roof_x = cabin[2, 0] - cabin[3, 0], (cabin[2, 0] + cabin[3, 0]) / 2
    parts = [
        coloured(side_profile(body, w, 0.97), Material.PAINT, colour),
        coloured(side_profile(cabin, w * 0.93, 0.82), Material.GLASS, WINDOW),
        coloured(block((roof_length * 1.02, w * 0.78, 0.03 * height), (roof_x, 0), height * 0.97), Material.PAINT, colour),
        coloured(block((length * 0.965, w * 0.9, 0.1 * height), (0, 0), floor * 0.75), Material.MATTE, DARK),
    ]
    parts += _wheels(min(0.23 * height, 0.12 * length), width, (0.31 * length, -0.30 * length))
    parts += _lights(length, w, floor + 0.42 * (belt - floor), floor + 0.62 * (belt - floor), 0.17 * height * 0.5)
    if tall:
        pillar = (roof_x - 0.12 * length, 0.0)
        parts.append(
            coloured(block((0.07 * length, w * 0.935, height * 0.97 - belt), pillar, belt, (1.0, 0.83)), Material.PAINT, colour)
        )
    return joined(parts)


def _truck(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    is_bus = height < 3.6 and length > 9.0 and rng.random() < 0.7
    colour = PAINTS[rng.integers(len(PAINTS))] * rng.uniform(0.9, 1.1)
    floor, radius = 0.45, min(0.5, 0.2 * height)
    if is_bus:
        band = height * 0.34
        parts = [
            coloured(block((length, width * 0.985, height - floor), base=floor), Material.PAINT, colour),
            coloured(block((length * 0.97, width * 0.994, band), base=height * 0.46), Material.GLASS, WINDOW),
            coloured(block((0.1, width * 0.86, height * 0.42), (length / 2 - 0.045, 0), height * 0.40), Material.GLASS, WINDOW),
            coloured(
                block((0.1, width * 0.80, height * 0.28), (-length / 2 + 0.045, 0), height * 0.52), Material.GLASS, WINDOW
            ),
        ]
        for x in np.arange(-length / 2 + 0.9, length / 2 - 0.5, 1.5):
            parts.append(coloured(block((0.12, width, band), (float(x), 0.0), height * 0.46), Material.PAINT, colour * 0.9))
    else:
        cab = min(2.3, 0.3 * length)
        cab_x, cargo = length / 2 - cab / 2, length - cab - 0.25
        cargo_colour = colour if rng.random() < 0.5 else np.array([0.82, 0.82, 0.8])
        parts = [
            coloured(
                block((cargo, width * 0.99, height - floor - 0.35), (-length / 2 + cargo / 2, 0), floor + 0.35),
                Material.PAINT,
                cargo_colour,
            ),
            coloured(
                block((cab, width * 0.96, height * 0.72 - floor), (cab_x, 0), floor, (0.86, 0.94), -0.05 * cab),
                Material.PAINT,
                colour,
            ),
            coloured(
                block((0.1, width * 0.8, height * 0.22), (length / 2 - 0.1, 0), height * 0.44, (1, 0.95), -0.12),
                Material.GLASS,
                WINDOW,
            ),
            coloured(
                block((cab * 0.4, width * 0.965, height * 0.18), (cab_x + 0.1 * cab, 0), height * 0.46), Material.GLASS, WINDOW
            ),
            coloured(block((length * 0.94, width * 0.5, 0.3), base=floor), Material.MATTE, DARK),
        ]
    parts += _wheels(radius, width, (0.36 * length, -0.26 * length, -0.36 * length))
    parts += _lights(length, width * 0.94, floor + 0.2, floor + 0.2, 0.12)
    return joined(parts)


def _wheels(radius: float, width: float, axles: tuple[float, ...]) -> list[Mesh]:
    parts = []
    thick = 0.12 * width
    for x in axles:
        for side in (1.0, -1.0):
            y = side * (width / 2 - thick / 2)
            parts.append(coloured(wheel(radius, thick, (x, y)), Material.MATTE, TYRE))
            parts.append(coloured(wheel(radius * 0.55, thick * 1.02, (x, y), 6) + [0, 0, radius * 0.45], Material.MATTE, HUB))
    return parts


def _lights(length: float, width: float, front_z: float, rear_z: float, size: float) -> list[Mesh]:
    parts = []
    for side in (0.36, -0.36):
        y = side * width
        parts.append(coloured(block((0.10, 0.19 * width, size), (length / 2 - 0.045, y), front_z), Material.LAMP, HEADLIGHT))
        parts.append(
            coloured(block((0.06, 0.17 * width, size * 1.3), (-length / 2 + 0.03, y), rear_z), Material.LAMP, TAILLIGHT)
        )
    parts.append(coloured(block((0.05, 0.24 * width, 0.11), (-length / 2 + 0.025, 0), rear_z - 0.1), Material.MATTE, PLATE))
    return parts


def _person(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    shirt, trousers = CLOTHES[rng.integers(len(CLOTHES))], CLOTHES[rng.integers(len(CLOTHES))] * 0.45
    skin, hair = SKINS[rng.integers(len(SKINS))], np.array([0.10, 0.07, 0.05]) * rng.uniform(0.5, 3.0)
    h, w = height, min(width, 0.62 * height / 1.75)
    stride = min(0.22 * length, 0.14)
    parts = [
        coloured(cylinder(0.30 * w, 0.36 * h, base=0.47 * h, sides=7, top=1.2) * [0.8, 1.0, 1.0], Material.MATTE, shirt),
        coloured(ball((0.062 * h, 0.055 * h, 0.075 * h), (0.01 * h, 0, 0.915 * h)), Material.MATTE, skin),
        coloured(ball((0.06 * h, 0.06 * h, 0.05 * h), (-0.015 * h, 0, 0.95 * h)), Material.MATTE, hair),
    ]
    for side in (1.0, -1.0):
        leg = block((0.10 * h, 0.085 * h, 0.48 * h), (0.0, side * 0.16 * w), 0.0, (1.1, 1.15), 0.0)
        slant = (1.0 - leg[..., 2:3] / (0.48 * h)) * side * stride
        parts.append(coloured(leg + slant * [1.0, 0.0, 0.0], Material.MATTE, trousers))
        arm = block((0.065 * h, 0.055 * h, 0.36 * h), (0.0, side * 0.42 * w), 0.45 * h)
        swing = (0.81 * h - arm[..., 2:3]) / h * -side * stride * 1.6
        parts.append(coloured(arm + swing * [1.0, 0.0, 0.0], Material.MATTE, shirt * 0.85))
    return joined(parts)


def _cyclist(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    frame = PAINTS[rng.integers(len(PAINTS))]
    radius = min(0.19 * length, 0.2 * height)
    axle = length / 2 - radius
    parts = [coloured(wheel(radius, 0.05, (x, 0.0), 12), Material.MATTE, TYRE) for x in (axle, -axle)]
    parts.append(coloured(block((2 * axle, 0.06, 0.07), base=radius * 1.3), Material.PAINT, frame))
    parts.append(coloured(block((0.07, 0.06, radius * 1.3), (axle * 0.85, 0), radius), Material.PAINT, frame))
    parts.append(coloured(block((0.06, width * 0.8, 0.05), (axle * 0.72, 0), radius * 2.4), Material.MATTE, DARK))
    rider = _person(rng, length * 0.3, width * 0.95, height * 0.9)
    seated = np.array(rider.triangles)
    # The rider leans over the bar: everything above the hip moves forward, the feet come up to the pedals.
    hip = 0.45 * height
    seated[..., 0] += np.clip(seated[..., 2] - hip, 0.0, None) * 0.42 - 0.16 * length
    seated[..., 2] = height - (0.9 * height - seated[..., 2]) * (height - 0.28 * height * 0.6) / (0.9 * height)
    parts.append(replace(rider, triangles=seated))
    return joined(parts)


def _furniture(kind: AgentKind, rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    if kind is AgentKind.TRAFFIC_CONE:
        radius, orange, white = min(length, width) / 2, (0.90, 0.28, 0.04), (0.85, 0.85, 0.83)
        return joined([
            coloured(block((length, width, 0.06 * height)), Material.MATTE, (0.1, 0.1, 0.1)),
            coloured(cylinder(radius * 0.8, height, sides=8, top=0.15), Material.MATTE, orange),
            coloured(cylinder(radius * 0.58, 0.2 * height, base=0.40 * height, sides=8, top=0.75), Material.MATTE, white),
        ])  # fmt: skip
    if kind is AgentKind.CZONE_SIGN:
        return joined([
            coloured(cylinder(0.03, height, sides=5), Material.MATTE, (0.4, 0.4, 0.4)),
            coloured(block((min(length, 0.06), width, 0.45 * height), base=0.55 * height), Material.MATTE, (0.92, 0.42, 0.05)),
        ])  # fmt: skip
    if kind is AgentKind.BARRIER:
        return joined([
            coloured(block((length, width, 0.35 * height), top=(1.0, 0.55)), Material.MATTE, CONCRETE),
            coloured(block((length, width * 0.55, 0.65 * height), (0, 0), 0.35 * height, (1.0, 0.7)), Material.MATTE, CONCRETE),
            coloured(block((length * 0.9, width * 0.56, 0.12 * height), base=0.6 * height), Material.MATTE, (0.8, 0.15, 0.08)),
        ])  # fmt: skip
    return coloured(
        block((length, width, height), top=(0.94, 0.94)), Material.MATTE, np.array([0.36, 0.38, 0.36]) * rng.uniform(0.7, 1.3)
    )
