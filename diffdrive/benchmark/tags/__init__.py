"""What happens in a scene: pure functions of the scene and of the script of its town."""

from __future__ import annotations

from collections.abc import Iterable

from diffdrive.benchmark.tags.drive import drive_of, others_of
from diffdrive.benchmark.tags.events import ScriptedEvent, scripted_events, told_events
from diffdrive.benchmark.tags.lanes import LaneNet, follow_lanes
from diffdrive.benchmark.tags.manoeuvre import name_manoeuvre
from diffdrive.benchmark.tags.values import Density, EventTag, SceneTags
from diffdrive.scene import Agents, Scene
from diffdrive.world.conditions import Light, conditions_of
from diffdrive.world.manoeuvres import Manoeuvre

__all__ = ["Density", "EventTag", "Light", "Manoeuvre", "SceneTags", "ScriptedEvent", "density_of", "tag_scene"]

RADIUS_M = 64.0
LIMITS = ((20, Density.QUIET), (40, Density.NORMAL), (60, Density.BUSY))
"""Fewer boxes than this within ``RADIUS_M``; from the last number on it is dense."""


def tag_scene(scene: Scene, script: Iterable[ScriptedEvent] = ()) -> SceneTags:
    """The tags of a scene. ``script`` holds the events of its log, if the town had any.

    Raises ``InputError`` for a scene without four seconds of future in steps of half a second.
    """
    drive = drive_of(scene)
    others = others_of(drive)
    net = LaneNet(scene.vector_map)
    steps = follow_lanes(net, drive.poses)
    manoeuvre = name_manoeuvre(drive, net, steps)
    events = told_events(drive, others, steps, manoeuvre) | scripted_events(drive, others, script)
    return SceneTags(
        manoeuvre=manoeuvre,
        density=density_of(scene.agents),
        light=conditions_of(scene.log_name).light,
        events=tuple(tag for tag in EventTag if tag in events),
    )


def density_of(agents: Agents) -> Density:
    """By the number of boxes whose centre is within ``RADIUS_M``, in the ego frame."""
    count = int((agents.boxes[:, 0] ** 2 + agents.boxes[:, 1] ** 2 <= RADIUS_M**2).sum())
    return next((density for limit, density in LIMITS if count < limit), Density.DENSE)
