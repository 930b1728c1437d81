"""What the lens adds to an image, whichever renderer drew it: a glow around lamps, and drops of rain on the glass."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from diffdrive.world.conditions import Conditions, Light
from diffdrive.world.render.cameras import Camera
from diffdrive.world.render.lighting import Lighting

_SHRINK = 4
_BRIGHT = 190
_DROPS = (18, 46)
"""Fewest and most drops on one lens."""


def through_lens(image: np.ndarray, camera: Camera, conditions: Conditions, light: Lighting) -> np.ndarray:
    """[H, W, 3] as the sensor behind the lens sees ``image``; the same drive has the same drops in every frame."""
    if light.bloom > 0:
        image = _with_glow(image, light.bloom)
    if conditions.light is Light.RAIN:
        image = _with_drops(image, camera, conditions.seed)
    return image


def _with_glow(image: np.ndarray, strength: float) -> np.ndarray:
    whole = Image.fromarray(image)
    height, width = image.shape[:2]
    scale = 255.0 / (255 - _BRIGHT) * strength
    # Only what is bright glows: everything below the threshold turns black before it is spread.
    small = whole.resize((max(width // _SHRINK, 1), max(height // _SHRINK, 1)), Image.Resampling.BOX)
    bright = small.point([int(max(0, v - _BRIGHT) * scale) for v in range(256)] * 3)
    spread = bright.filter(ImageFilter.GaussianBlur(width / _SHRINK / 40))
    return np.asarray(ImageChops.add(whole, spread.resize((width, height), Image.Resampling.BILINEAR)))


def _with_drops(image: np.ndarray, camera: Camera, seed: int) -> np.ndarray:
    height, width = image.shape[:2]
    wet, source, share, shine = _drops(seed, camera.camera_id.value, width, height)
    small = np.asarray(Image.fromarray(image).resize((width // _SHRINK + 1, height // _SHRINK + 1), Image.Resampling.BOX))
    seen = small.reshape(-1, 3)[source] * shine[:, None]
    result = image.reshape(-1, 3).copy()
    result[wet] = np.clip(result[wet] * (1 - share[:, None]) + seen * share[:, None], 0, 255).astype(np.uint8)
    return result.reshape(height, width, 3)


@lru_cache(maxsize=64)
def _drops(seed: int, name: str, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels under drops, the pixel of the shrunken image each one shows, how opaque and how bright it is.

    A drop is a small wide-angle lens: it shows its surroundings upside down.
    """
    rng = np.random.default_rng([seed, int.from_bytes(name.encode(), "little")])
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    share, shine = np.zeros((height, width)), np.ones((height, width))
    to_column, to_row = column.copy(), row.copy()
    for _ in range(int(rng.integers(*_DROPS))):
        radius = rng.uniform(1.6, 4.0) * rng.choice([1.0, 1.0, 2.0]) * width / 480
        middle, tall = rng.uniform([0, 0], [width, height]), rng.uniform(1.0, 1.35)
        x, y = (column - middle[0]) / radius, (row - middle[1]) / (radius * tall)
        inside = x * x + y * y < 1
        edge = 1 - (x * x + y * y)[inside]
        share[inside] = np.clip(edge * 3.0, 0.0, 0.85)
        shine[inside] = 0.85 + 0.3 * y[inside]
        to_column[inside] = middle[0] - x[inside] * radius * 7
        to_row[inside] = middle[1] - y[inside] * radius * 7
    wet = np.flatnonzero(share > 0)
    columns = np.clip(to_column.ravel()[wet] / _SHRINK, 0, width // _SHRINK).astype(np.int64)
    rows = np.clip(to_row.ravel()[wet] / _SHRINK, 0, height // _SHRINK).astype(np.int64)
    return wet, rows * (width // _SHRINK + 1) + columns, share.ravel()[wet], shine.ravel()[wet]
