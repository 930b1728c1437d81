"""Weather and daylight of a drive: a function of its log's name, so that any log, recorded or simulated, has some."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import InputError


class Light(enum.Enum):
    """The kind of light; each is one tag of a scene."""

    CLEAR = "clear"
    OVERCAST = "overcast"
    DUSK = "dusk"
    RAIN = "rain"


SHARES = {Light.CLEAR: 0.4, Light.OVERCAST: 0.25, Light.DUSK: 0.15, Light.RAIN: 0.2}
"""How often each kind of light comes up."""

ELEVATIONS_DEG = {Light.CLEAR: (20.0, 65.0), Light.OVERCAST: (25.0, 60.0), Light.DUSK: (3.0, 9.0), Light.RAIN: (25.0, 60.0)}
"""Range of the sun's height above the horizon, degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The light of a whole drive."""

    light: Light
    sun_azimuth: float
    """Direction to the sun, counter-clockwise from the world's x axis, radians."""

    sun_elevation: float
    """Height of the sun above the horizon, radians, in (0, pi / 2)."""

    seed: int
    """For what differs between drives of the same light, such as the drops on the lens."""

    def __post_init__(self) -> None:
        if not 0.0 < self.sun_elevation < np.pi / 2:
            raise InputError(f"Conditions.sun_elevation lies between 0 and pi / 2 radians, got {self.sun_elevation}.")

    @property
    def sun(self) -> np.ndarray:
        """[3] unit vector to the sun in the world frame."""
        level = np.cos(self.sun_elevation)
        return np.array([level * np.cos(self.sun_azimuth), level * np.sin(self.sun_azimuth), np.sin(self.sun_elevation)])


NOON = Conditions(light=Light.CLEAR, sun_azimuth=0.62, sun_elevation=0.89, seed=0)
"""One clear day, for pictures that should differ by nothing else."""


def conditions_of(log_name: str) -> Conditions:
    """The light of the drive with this name; the same name always gives the same light."""
    seed = int.from_bytes(hashlib.sha256(f"light of {log_name}".encode()).digest()[:4], "little")
    rng = np.random.default_rng(seed)
    light = list(SHARES)[int(rng.choice(len(SHARES), p=list(SHARES.values())))]
    low, high = np.deg2rad(ELEVATIONS_DEG[light])
    return Conditions(
        light=light, sun_azimuth=float(rng.uniform(-np.pi, np.pi)), sun_elevation=float(rng.uniform(low, high)), seed=seed
    )
