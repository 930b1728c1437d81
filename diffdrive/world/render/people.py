"""People, on foot and on two wheels, each within length x width x height, centred on the origin, looking towards +x."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffdrive.world.render.mesh import Material, Mesh, coloured, joined
from diffdrive.world.render.shapes import ball, block, cylinder, side_profile, wheel
from diffdrive.world.render.vehicles import DARK, HEADLIGHT, PAINTS, TAILLIGHT, TYRE

CLOTHES = np.array(
    [[0.55, 0.10, 0.10], [0.12, 0.22, 0.48], [0.75, 0.72, 0.66], [0.12, 0.12, 0.14], [0.20, 0.42, 0.24], [0.80, 0.62, 0.12],
     [0.42, 0.25, 0.45]]
)  # fmt: skip
SKINS = np.array([[0.80, 0.60, 0.48], [0.62, 0.42, 0.30], [0.38, 0.24, 0.17]])
LONG_BIKE_M, LOW_RIDER_M = 2.0, 1.6
"""Two-wheelers longer than this are motorcycles where the rider sits low, cargo bikes where they sit upright."""

CHILD_M = 1.4


def person(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    """Somebody on foot; whoever is small is a child, with a larger head."""
    shirt, trousers = CLOTHES[rng.integers(len(CLOTHES))], CLOTHES[rng.integers(len(CLOTHES))] * 0.45
    skin, hair = SKINS[rng.integers(len(SKINS))], np.array([0.10, 0.07, 0.05]) * rng.uniform(0.5, 3.0)
    h, w = height, min(width, 0.62 * height / 1.75)
    big = 1.25 if height < CHILD_M else 1.0
    stride = min(0.22 * length, 0.14)
    parts = [
        coloured(cylinder(0.30 * w, 0.36 * h, base=0.47 * h, sides=7, top=1.2) * [0.8, 1.0, 1.0], Material.MATTE, shirt),
        coloured(
            ball((0.062 * h * big, 0.055 * h * big, 0.075 * h * big), (0.01 * h, 0, (0.99 - 0.075 * big) * h)),
            Material.MATTE,
            skin,
        ),
        coloured(
            ball((0.06 * h * big, 0.06 * h * big, 0.05 * h * big), (-0.015 * h, 0, (1.0 - 0.05 * big) * h)),
            Material.MATTE,
            hair,
        ),
    ]
    for side in (1.0, -1.0):
        leg = block((0.10 * h, 0.085 * h, 0.48 * h), (0.0, side * 0.16 * w), 0.0, (1.1, 1.15), 0.0)
        slant = (1.0 - leg[..., 2:3] / (0.48 * h)) * side * stride
        parts.append(coloured(leg + slant * [1.0, 0.0, 0.0], Material.MATTE, trousers))
        arm = block((0.065 * h, 0.055 * h, 0.36 * h), (0.0, side * 0.42 * w), 0.45 * h)
        swing = (0.81 * h - arm[..., 2:3]) / h * -side * stride * 1.6
        parts.append(coloured(arm + swing * [1.0, 0.0, 0.0], Material.MATTE, shirt * 0.85))
    if rng.random() < 0.35:
        bag = block((0.09 * h, 0.13 * h, 0.20 * h), (-0.09 * h, 0.0), 0.58 * h)
        parts.append(coloured(bag, Material.MATTE, CLOTHES[rng.integers(len(CLOTHES))] * 0.6))
    return joined(parts)


def rider(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    """Somebody on a bicycle, a cargo bike or a motorcycle, whichever has this size."""
    if length > LONG_BIKE_M and height < LOW_RIDER_M:
        return _motorcyclist(rng, length, width, height)
    bike = _cyclist(rng, min(length, LONG_BIKE_M), width, height)
    if length <= LONG_BIKE_M:
        return bike
    # A cargo bike: the rider behind, a box between the handlebar and the front wheel.
    back = replace(bike, triangles=bike.triangles - np.array([(length - LONG_BIKE_M) / 2, 0, 0]))
    box = block((0.34 * length, width * 0.9, 0.3 * height), (0.26 * length, 0), 0.16 * height, (1.1, 1.0))
    return joined([back, coloured(box, Material.MATTE, PAINTS[rng.integers(len(PAINTS))] * 0.7)])


def _motorcyclist(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    paint = PAINTS[rng.integers(len(PAINTS))]
    radius = min(0.155 * length, 0.22 * height)
    axle = length / 2 - radius
    tank = np.array([[-0.08, 0.44], [0.13, 0.46], [0.17, 0.56], [0.02, 0.62], [-0.09, 0.55]]) * [length, height]
    tail = np.array([[-0.36, 0.47], [-0.10, 0.44], [-0.07, 0.54], [-0.38, 0.57]]) * [length, height]
    parts = [coloured(wheel(radius, 0.13, (x, 0.0), 12), Material.MATTE, TYRE) for x in (axle, -axle)]
    parts += [
        coloured(block((0.5 * length, 0.26, 0.22 * height), (-0.02 * length, 0), radius * 0.7), Material.MATTE, DARK),
        coloured(side_profile(tank, 0.30), Material.PAINT, paint),
        coloured(side_profile(tail, 0.24), Material.PAINT, paint * 0.5),
        coloured(block((0.08, 0.12, 0.36 * height), (0.30 * length, 0), radius, shift=-0.06 * length), Material.MATTE, DARK),
        coloured(block((0.06, width * 0.95, 0.05), (0.20 * length, 0), 0.66 * height), Material.MATTE, DARK),
        coloured(block((0.06, 0.18, 0.1 * height), (0.30 * length, 0), 0.54 * height), Material.LAMP, HEADLIGHT),
        coloured(block((0.05, 0.16, 0.05 * height), (-0.38 * length, 0), 0.50 * height), Material.LAMP, TAILLIGHT),
    ]
    figure = person(rng, length * 0.25, width * 0.9, height * 0.78)
    seated = np.array(figure.triangles)
    # Legs fold: the feet come forward and up, the hip goes to the seat, the arms reach for the bar.
    hip = 0.47 * 0.78 * height
    upper = np.clip(seated[..., 2] - hip, 0.0, None)
    seated[..., 0] += upper * 0.35 - 0.10 * length + np.clip(hip - seated[..., 2], 0.0, None) * 0.25
    seated[..., 2] = np.where(
        seated[..., 2] > hip, 0.55 * height + upper * 1.08, 0.18 * height + seated[..., 2] / hip * 0.37 * height
    )
    parts.append(replace(figure, triangles=seated))
    helmet = ball((0.11, 0.10, 0.12), (-0.10 * length + 0.35 * 0.38 * height, 0, height - 0.13))
    parts.append(coloured(helmet, Material.PAINT, PAINTS[rng.integers(len(PAINTS))]))
    return joined(parts)


def _cyclist(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    frame = PAINTS[rng.integers(len(PAINTS))]
    radius = min(0.19 * length, 0.2 * height)
    axle = length / 2 - radius
    parts = [coloured(wheel(radius, 0.05, (x, 0.0), 12), Material.MATTE, TYRE) for x in (axle, -axle)]
    parts.append(coloured(block((2 * axle, 0.06, 0.07), base=radius * 1.3), Material.PAINT, frame))
    parts.append(coloured(block((0.07, 0.06, radius * 1.3), (axle * 0.85, 0), radius), Material.PAINT, frame))
    parts.append(coloured(block((0.06, width * 0.8, 0.05), (axle * 0.72, 0), radius * 2.4), Material.MATTE, DARK))
    figure = person(rng, length * 0.3, width * 0.95, height * 0.9)
    seated = np.array(figure.triangles)
    # The rider leans over the bar: everything above the hip moves forward, the feet come up to the pedals.
    hip = 0.45 * height
    seated[..., 0] += np.clip(seated[..., 2] - hip, 0.0, None) * 0.42 - 0.16 * length
    seated[..., 2] = height - (0.9 * height - seated[..., 2]) * (height - 0.28 * height * 0.6) / (0.9 * height)
    parts.append(replace(figure, triangles=seated))
    return joined(parts)
