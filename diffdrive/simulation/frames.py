"""What the traffic process tells after each step of SUMO: everybody's front bumper, and the signals. Plain values, pickled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everybody at one step. N road users, the ego among them."""

    step: int
    tokens: tuple[str, ...]
    types: tuple[str, ...]
    """Names in ``world.traffic.road_users.ROAD_USERS``."""

    lanes: tuple[str, ...]
    """SUMO's lane; '' for who is on foot."""

    places: np.ndarray
    """[N, 4] x, y of the front bumper (metres, world frame), heading (degrees clockwise from north), speed (m/s)."""

    signals: str
    """The state of every traffic light, in the order of ``Briefing.signal_names``, joined by '|'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """Where a drive begins."""

    signal_names: tuple[str, ...]
    frames: tuple[Frame, ...]
    """The last seconds, oldest first; the last one is the present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where the ego shall be after the next step."""

    front: tuple[float, float]
    """Front bumper, world frame, metres."""

    angle_deg: float
    """Clockwise from north."""

    speed: float
    """m/s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The traffic of a drive came to a bad end."""

    reason: str
