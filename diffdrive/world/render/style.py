"""How a town looks, by its seed: its asphalt, its pavements, its windows and walls, its trees and their season."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, frozen_array

NUM_FACADES = 8

# Walls that a town may be built of, by family: brick, plaster, stone, painted boards.
_WALLS = (
    ((0.40, 0.20, 0.13), (0.27, 0.12, 0.09), (0.46, 0.30, 0.20), (0.33, 0.16, 0.13)),
    ((0.62, 0.56, 0.44), (0.66, 0.52, 0.34), (0.60, 0.44, 0.38), (0.52, 0.58, 0.52), (0.66, 0.64, 0.58)),
    ((0.40, 0.40, 0.40), (0.50, 0.46, 0.40), (0.30, 0.31, 0.34), (0.58, 0.56, 0.52)),
    ((0.34, 0.42, 0.48), (0.62, 0.60, 0.56), (0.48, 0.50, 0.38), (0.44, 0.28, 0.24), (0.26, 0.32, 0.36)),
)
_TILES = ((0.26, 0.085, 0.05), (0.17, 0.08, 0.06), (0.10, 0.10, 0.11), (0.20, 0.17, 0.14))
# Leaves by season: spring, summer, autumn, late autumn.
_LEAVES = (
    ((0.14, 0.26, 0.05), (0.10, 0.22, 0.05), (0.20, 0.28, 0.08), (0.34, 0.22, 0.24)),
    ((0.055, 0.15, 0.03), (0.10, 0.19, 0.04), (0.04, 0.12, 0.045), (0.07, 0.16, 0.06)),
    ((0.30, 0.17, 0.03), (0.34, 0.09, 0.03), (0.22, 0.19, 0.04), (0.12, 0.16, 0.04)),
    ((0.22, 0.13, 0.06), (0.26, 0.16, 0.05), (0.15, 0.11, 0.06), (0.08, 0.12, 0.04)),
)
_SEASONS = (0.25, 0.4, 0.22, 0.13)
_GRASS = ((0.11, 0.20, 0.05), (0.13, 0.19, 0.06), (0.17, 0.17, 0.06), (0.18, 0.15, 0.07))


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Palettes for what is built, and numbers for the shader that paints it."""

    walls: np.ndarray
    """[K, 3] base colours of buildings."""

    tiles: np.ndarray
    """[K, 3] of pitched roofs."""

    leaves: np.ndarray
    """[K, 3] of trees."""

    species: np.ndarray
    """[3] odds of round, conical and slender trees."""

    asphalt: np.ndarray
    """[3] base colour of roads."""

    paving: np.ndarray
    """[3] base colour of walkways."""

    grass: np.ndarray
    """[3]"""

    heights: np.ndarray
    """[6] odds of buildings of 1, 2, 3, 4, 6 and 9 floors."""

    facades: np.ndarray
    """[8, 2, 4] patterns of walls: (side margin, sill, head, wall 0 plaster 1 brick 2 boards), (width of the middle bar,
    brightness of frames, share of shops, share of ledges); margins and heights as shares of a window's field."""

    road: tuple[float, float, float, float]
    """Strength of the grain, of stains, share of cracked road, share of repaired places."""

    slabs: tuple[float, float]
    """Edge of a paving slab, metres, and strength of its joints."""

    wear: float
    """Share of paint that wheels have worn off."""

    def __post_init__(self) -> None:
        axes = Axes("Style")
        for name, contract in (
            ("walls", "K 3"), ("tiles", "L 3"), ("leaves", "M 3"), ("species", "3"), ("asphalt", "3"), ("paving", "3"),
            ("grass", "3"), ("heights", "6"), ("facades", "8 2 4"),
        ):  # fmt: skip
            array = frozen_array(getattr(self, name), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)

    def uniforms(self) -> dict[str, float | tuple[float, ...]]:
        """What the shaders read, by the names that they know."""
        return {"road": self.road, "slabs": self.slabs, "wear": self.wear}


def style_of(seed: int) -> Style:
    """The look of the town with this seed."""
    rng = np.random.default_rng([seed, 7])
    families = rng.permutation(len(_WALLS))[: rng.integers(2, 4)]
    walls = np.concatenate([np.array(_WALLS[k]) for k in families])
    walls = np.clip(walls * rng.uniform(0.85, 1.12, (len(walls), 1)) * rng.uniform(0.94, 1.06, 3), 0.03, 0.72)
    season = int(rng.choice(len(_LEAVES), p=_SEASONS))
    tone = rng.uniform(0.6, 1.55)
    warmth = rng.uniform(-0.06, 0.06)
    return Style(
        walls=walls,
        tiles=np.array(_TILES)[rng.permutation(len(_TILES))[:2]],
        leaves=np.array(_LEAVES[season]),
        species=rng.dirichlet([2.5, 0.8, 0.8]),
        asphalt=np.array([0.096, 0.096, 0.101]) * tone * [1 + warmth, 1.0, 1 - warmth],
        paving=np.array([0.29, 0.28, 0.265]) * rng.uniform(0.75, 1.3) * rng.uniform(0.94, 1.06, 3),
        grass=np.array(_GRASS[season]) * rng.uniform(0.85, 1.15),
        heights=rng.dirichlet([1.6, 3.0, 2.8, 1.8, 1.0, 0.5]),
        facades=np.stack([_facade(rng) for _ in range(NUM_FACADES)]),
        road=(float(rng.uniform(0.10, 0.24)), float(rng.uniform(0.15, 0.5)), float(rng.uniform(0.1, 0.6)),
              float(rng.uniform(0.03, 0.25))),
        slabs=(float(rng.choice([0.4, 0.6, 0.8, 1.2, 1.5])), float(rng.uniform(0.12, 0.4))),
        wear=float(rng.uniform(0.0, 0.22)),
    )  # fmt: skip


def _facade(rng: np.random.Generator) -> np.ndarray:
    margin, sill = rng.uniform(0.06, 0.30), rng.uniform(0.14, 0.36)
    return np.array([
        [margin, sill, min(0.90, sill + rng.uniform(0.38, 0.58)), float(rng.integers(3))],
        [rng.choice([0.0, 0.03]), rng.uniform(0.08, 0.75), rng.choice([0.0, 0.25, 0.8]), rng.choice([0.0, 1.0])],
    ])  # fmt: skip
