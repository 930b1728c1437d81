"""Bodies on four wheels and more, each within length x width x height, centred on the origin, nose towards +x."""

from __future__ import annotations

import numpy as np

from diffdrive.world.render.mesh import Material, Mesh, coloured, joined
from diffdrive.world.render.shapes import block, side_profile, wheel

PAINTS = np.array(
    [[0.72, 0.72, 0.74], [0.06, 0.06, 0.07], [0.88, 0.88, 0.87], [0.42, 0.04, 0.05], [0.06, 0.13, 0.36], [0.30, 0.31, 0.33],
     [0.10, 0.25, 0.17], [0.55, 0.50, 0.40], [0.16, 0.30, 0.50], [0.78, 0.52, 0.10]]
)  # fmt: skip
TYRE, HUB, WINDOW, DARK, UNDER = (
    (0.03, 0.03, 0.035),
    (0.45, 0.45, 0.47),
    (0.05, 0.06, 0.08),
    (0.07, 0.07, 0.08),
    (0.012, 0.012, 0.014),
)
HEADLIGHT, TAILLIGHT, PLATE = (0.95, 0.95, 0.88), (0.65, 0.03, 0.03), (0.8, 0.8, 0.76)
LONG_VEHICLE_M = 6.6
VAN_LENGTH_M, VAN_HEIGHT_M = 5.1, 1.95
TALL_CAR_M = 1.62


def vehicle(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    """A car, van, truck or bus, whichever has this size."""
    if length > LONG_VEHICLE_M:
        body = _truck(rng, length, width, height)
    elif length > VAN_LENGTH_M and height > VAN_HEIGHT_M:
        body = _van(rng, length, width, height)
    else:
        body = _car(rng, length, width, height)
    # No light gets under a vehicle: without this it would float under a grey sky.
    under = block((length * 0.98, width * 0.94, 0.01), base=0.016)[-2:]
    return joined([body, coloured(under, Material.MATTE, UNDER)])


def _car(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    colour = PAINTS[rng.integers(len(PAINTS))] * rng.uniform(0.85, 1.1)
    is_hatchback = rng.random() < 0.4
    tall = height >= TALL_CAR_M
    floor, belt, w = 0.16 * height, (0.56 if tall else 0.60) * height, width * 0.97
    rear, front = -length / 2, length / 2
    nose = belt * 0.9
    body = np.array(
        [[rear + 0.05, floor], [front - 0.08, floor], [front, floor + 0.35 * (belt - floor)], [front - 0.06 * length, nose],
         [front - 0.26 * length, belt], [rear + 0.02 * length, belt], [rear, floor + 0.6 * (belt - floor)]]
    )  # fmt: skip
    tail = rear + (0.02 if tall else 0.05 if is_hatchback else 0.13) * length
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
    parts.append(coloured(block((0.06, 0.5 * w, 0.09 * height), (front - 0.04, 0), floor * 1.35), Material.MATTE, DARK))
    parts += _wheels(min(0.23 * height, 0.12 * length), width, (0.31 * length, -0.30 * length))
    parts += _lights(length, w, floor + 0.42 * (belt - floor), floor + 0.62 * (belt - floor), 0.17 * height * 0.5)
    if tall:
        pillar = (roof_x - 0.12 * length, 0.0)
        parts.append(
            coloured(block((0.07 * length, w * 0.935, height * 0.97 - belt), pillar, belt, (1.0, 0.83)), Material.PAINT, colour)
        )
    return joined(parts)


def _van(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    colour = np.array([0.80, 0.80, 0.79]) if rng.random() < 0.5 else PAINTS[rng.integers(len(PAINTS))]
    floor, w, rear, front = 0.13 * height, width * 0.97, -length / 2, length / 2
    box = np.array(
        [[rear + 0.04, floor], [front - 0.09 * length, floor], [front - 0.09 * length, 0.52 * height],
         [front - 0.24 * length, 0.99 * height], [rear + 0.04, 0.99 * height]]
    )  # fmt: skip
    nose = np.array(
        [
            [front - 0.12 * length, floor],
            [front - 0.02, floor],
            [front - 0.02, 0.38 * height],
            [front - 0.12 * length, 0.52 * height],
        ]
    )
    # The windscreen lies a finger's breadth before the slope of the box.
    low, high = np.array([front - 0.085 * length, 0.54 * height]), np.array([front - 0.205 * length, 0.90 * height])
    screen = np.array([low, low + [0.015, 0.0], high + [0.015, 0.0], high])
    parts = [
        coloured(side_profile(box, w, 0.94), Material.PAINT, colour),
        coloured(side_profile(nose, w * 0.97), Material.PAINT, colour),
        coloured(side_profile(screen, w * 0.84), Material.GLASS, WINDOW),
        coloured(
            block((0.13 * length, w * 0.985, 0.24 * height), (front - 0.235 * length, 0), 0.55 * height), Material.GLASS, WINDOW
        ),
        coloured(block((length * 0.95, w * 0.9, 0.1 * height), (0, 0), floor * 0.7), Material.MATTE, DARK),
        coloured(block((0.05, 0.5 * w, 0.08 * height), (front - 0.03, 0), 0.2 * height), Material.MATTE, DARK),
    ]
    for side in (0.21, -0.21):
        parts.append(
            coloured(block((0.04, 0.3 * w, 0.2 * height), (rear + 0.03, side * w), 0.6 * height), Material.GLASS, WINDOW)
        )
    parts += _wheels(0.165 * height, width, (0.33 * length, -0.29 * length))
    parts += _lights(length, w, 0.3 * height, 0.34 * height, 0.07 * height)
    return joined(parts)


def _truck(rng: np.random.Generator, length: float, width: float, height: float) -> Mesh:
    is_bus = height < 3.6 and length > 9.0 and rng.random() < 0.7
    colour = PAINTS[rng.integers(len(PAINTS))] * rng.uniform(0.9, 1.1)
    floor, radius = 0.45, min(0.5, 0.2 * height)
    if is_bus:
        band = height * 0.34
        parts = [
            coloured(block((length - 0.06, width * 0.985, height - floor), base=floor), Material.PAINT, colour),
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
        cab_x, cargo = length / 2 - cab / 2, length - cab - 0.28
        cargo_colour = colour if rng.random() < 0.5 else np.array([0.82, 0.82, 0.8])
        parts = [
            coloured(
                block((cargo, width * 0.99, height - floor - 0.35), (-length / 2 + 0.03 + cargo / 2, 0), floor + 0.35),
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
            y = side * (width / 2 - thick / 2 - 0.015)
            # Treads and the two sides; of the hub the side that is seen.
            parts.append(coloured(wheel(radius, thick, (x, y), 9), Material.MATTE, TYRE))
            hub = wheel(radius * 0.55, thick + 0.024, (x, y), 6)[-8:] + [0, 0, radius * 0.45]
            parts.append(coloured(hub[:4] if side * hub[0, 0, 1] > side * hub[-1, 0, 1] else hub[4:], Material.MATTE, HUB))
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
