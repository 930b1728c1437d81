"""The words that describe a scene."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diffdrive.world.conditions import Light
from diffdrive.world.events import EventKind
from diffdrive.world.manoeuvres import Manoeuvre


class Density(enum.Enum):
    """How many boxes there are within ``RADIUS_M`` of the ego."""

    QUIET = "quiet"
    NORMAL = "normal"
    BUSY = "busy"
    DENSE = "dense"


class EventTag(enum.Enum):
    """What happens around the ego: by the town's script, or told from the drive."""

    JAYWALKER = EventKind.JAYWALKER.value
    DOUBLE_PARKED = EventKind.DOUBLE_PARKED.value
    WORK_ZONE = EventKind.WORK_ZONE.value
    HARD_BRAKE = EventKind.HARD_BRAKE.value
    CUT_IN = EventKind.CUT_IN.value
    STOP_AND_GO = EventKind.STOP_AND_GO.value
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
