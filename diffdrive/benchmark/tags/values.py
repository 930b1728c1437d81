"""The words that describe a scene."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diffdrive.world.conditions import Light
from diffdrive.world.manoeuvres import Manoeuvre


class Density(enum.Enum):
    """How many boxes there are within ``RADIUS_M`` of the ego."""

    QUIET = "quiet"
    NORMAL = "normal"
    BUSY = "busy"
    DENSE = "dense"


class EventTag(enum.Enum):
    """What happens around the ego."""

    JAYWALKER = "jaywalker"
    DOUBLE_PARKED = "double_parked"
    WORK_ZONE = "work_zone"
    HARD_BRAKE = "hard_brake"
    CUT_IN = "cut_in"
    STOP_AND_GO = "stop_and_go"
    AMBER = "amber"
    RED_LIGHT = "red_light"
    UNPROTECTED_LEFT = "unprotected_left"
    YIELD = "yield"
    PEDESTRIAN_CROSSING = "pedestrian_crossing"
    LEAD_VEHICLE = "lead_vehicle"
    NUDGE = "nudge"


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTags:
    """Everything that a benchmark says about a scene without driving in it."""

    manoeuvre: Manoeuvre
    density: Density
    light: Light
    events: tuple[EventTag, ...]
    """In the order of ``EventTag``, each once."""
