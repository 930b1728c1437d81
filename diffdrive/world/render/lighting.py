"""What the light of a drive means in numbers: colours of sun and sky, fog, wet roads, lamps. Both renderers read them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from diffdrive.world.conditions import Conditions, Light

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lighting:
    """Linear colours and strengths; every field is also a uniform of the shaders, by the same name."""

    sun: Colour
    """Unit vector to the sun, world frame."""

    sun_colour: Colour
    ambient_sky: Colour
    ambient_ground: Colour
    horizon: Colour
    zenith: Colour
    sunset: Colour
    """Added to the horizon on the sun's side."""

    halo: float
    """Brightness around the sun."""

    clouds: float
    """How much clouds stand out from the sky, 0 to 1."""

    cover: float
    """Share of the sky under clouds."""

    cloud_colour: Colour
    drift: tuple[float, float]
    """Where in the endless pattern of clouds this drive is."""

    shade: float
    """Share of sunlight that a shadow lets through; at 1 nothing throws a shadow."""

    fog_m: float
    """Distance over which an object keeps 1 / e of its contrast."""

    wet: float
    """How much water stands on the road, 0 to 1."""

    lit: float
    """Share of windows with a lamp on behind them."""

    lamps: float
    """Brightness of street lamps and of the ego's headlights on the ground."""

    lamp_gain: float
    """Brightness of what shines by itself."""

    bloom: float
    """How far bright spots spread in the lens, 0 to 1."""

    exposure: float

    @property
    def has_shadows(self) -> bool:
        return self.shade < 1.0

    @property
    def is_night(self) -> bool:
        """Whether lamps light the ground."""
        return self.lamps > 0.0

    @property
    def is_wet(self) -> bool:
        return self.wet > 0.0

    def array(self, name: str) -> np.ndarray:
        """A colour or direction as [3], float32."""
        return np.array(getattr(self, name), dtype=np.float32)

    def uniforms(self) -> dict[str, float | tuple[float, ...]]:
        """Values by the names that the shaders know."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@lru_cache(maxsize=64)
def lighting_of(conditions: Conditions) -> Lighting:
    """The numbers of one kind of light, with the sun where it stands and the clouds of the drive."""
    rng = np.random.default_rng([conditions.seed, 1])
    drift = tuple(float(v) for v in np.round(rng.uniform(0, 400, 2), 2))
    x, y, z = (float(v) for v in conditions.sun)
    make = {Light.CLEAR: _clear, Light.OVERCAST: _overcast, Light.DUSK: _dusk, Light.RAIN: _rain}[conditions.light]
    return make((x, y, z), (drift[0], drift[1]), float(rng.random()))


def _mixed(first: Colour, second: Colour, share: float) -> Colour:
    a, b, c = (float(p + (q - p) * share) for p, q in zip(first, second, strict=True))
    return (a, b, c)


def _clear(sun: Colour, drift: tuple[float, float], chance: float) -> Lighting:
    # From a low to a high sun its light turns from warm to white, and the sky from pale to deep.
    high = float(np.clip((sun[2] - 0.30) / 0.45, 0, 1))
    return Lighting(
        sun=sun, sun_colour=_mixed((2.15, 1.62, 1.05), (2.05, 1.88, 1.60), high),
        ambient_sky=_mixed((0.48, 0.55, 0.70), (0.55, 0.64, 0.80), high), ambient_ground=(0.36, 0.34, 0.31),
        horizon=_mixed((0.78, 0.78, 0.78), (0.66, 0.77, 0.88), high),
        zenith=_mixed((0.14, 0.29, 0.56), (0.10, 0.27, 0.62), high),
        sunset=(0.0, 0.0, 0.0), halo=0.35, clouds=0.9, cover=0.15 + 0.4 * chance, cloud_colour=(0.95, 0.95, 0.95), drift=drift,
        shade=0.06, fog_m=480.0, wet=0.0, lit=0.0, lamps=0.0, lamp_gain=1.25, bloom=0.0, exposure=0.92,
    )  # fmt: skip


def _overcast(sun: Colour, drift: tuple[float, float], chance: float) -> Lighting:
    return Lighting(
        sun=sun, sun_colour=(0.30, 0.30, 0.31), ambient_sky=(0.80, 0.84, 0.90), ambient_ground=(0.34, 0.34, 0.33),
        horizon=(0.64, 0.67, 0.70), zenith=(0.50, 0.54, 0.59), sunset=(0.0, 0.0, 0.0), halo=0.0, clouds=0.45, cover=0.5,
        cloud_colour=(0.76, 0.77, 0.79), drift=drift, shade=1.0, fog_m=300.0 + 150.0 * chance, wet=0.0, lit=0.06, lamps=0.0,
        lamp_gain=1.3, bloom=0.0, exposure=0.92,
    )  # fmt: skip


def _dusk(sun: Colour, drift: tuple[float, float], chance: float) -> Lighting:
    return Lighting(
        sun=sun, sun_colour=(1.05, 0.48, 0.20), ambient_sky=(0.20, 0.23, 0.34), ambient_ground=(0.10, 0.10, 0.12),
        horizon=(0.26, 0.23, 0.29), zenith=(0.045, 0.07, 0.17), sunset=(0.62, 0.27, 0.05), halo=0.3, clouds=0.6,
        cover=0.2 + 0.3 * chance, cloud_colour=(0.42, 0.28, 0.28), drift=drift, shade=0.06, fog_m=420.0, wet=0.0, lit=0.42,
        lamps=1.0, lamp_gain=1.7, bloom=0.6, exposure=1.0,
    )  # fmt: skip


def _rain(sun: Colour, drift: tuple[float, float], chance: float) -> Lighting:
    return Lighting(
        sun=sun, sun_colour=(0.16, 0.16, 0.17), ambient_sky=(0.58, 0.62, 0.68), ambient_ground=(0.24, 0.25, 0.26),
        horizon=(0.42, 0.45, 0.49), zenith=(0.24, 0.27, 0.31), sunset=(0.0, 0.0, 0.0), halo=0.0, clouds=0.5, cover=0.5,
        cloud_colour=(0.48, 0.50, 0.53), drift=drift, shade=1.0, fog_m=160.0 + 160.0 * chance, wet=1.0, lit=0.22, lamps=0.0,
        lamp_gain=1.5, bloom=0.45, exposure=0.92,
    )  # fmt: skip
