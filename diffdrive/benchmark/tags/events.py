"""What happens around the ego: told from the drive itself, or known from the script of the town."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from diffdrive.benchmark.tags.drive import FRONT_M, Drive, Others, project
from diffdrive.benchmark.tags.lanes import LaneStep
from diffdrive.benchmark.tags.values import EventTag
from diffdrive.geometry import wrap_angle
from diffdrive.scene import AgentKind, LightState
from diffdrive.world.manoeuvres import Manoeuvre

STANDING_MPS = 0.7
LANE_HALF_M = 1.75
REACH_M = 40.0
"""Of a scripted event, from the ego to those who act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedEvent:
    """What the manifest of a town says of one event in one log."""

    kind: EventTag
    tokens: frozenset[str]
    """Tracks of those who act."""

    first_us: int
    last_us: int


def told_events(drive: Drive, others: Others, steps: tuple[LaneStep, ...], manoeuvre: Manoeuvre) -> set[EventTag]:
    """What can be told from the drive and those around it."""
    at_red = _waits_at_red(drive)
    holds = {
        EventTag.AMBER: _sees_amber(drive),
        EventTag.RED_LIGHT: at_red,
        EventTag.UNPROTECTED_LEFT: manoeuvre is Manoeuvre.LEFT and _meets_oncoming(drive, others, steps),
        EventTag.YIELD: not at_red and _yields(drive, others),
        EventTag.PEDESTRIAN_CROSSING: _sees_walker_crossing(others),
        EventTag.LEAD_VEHICLE: _follows(others),
        EventTag.NUDGE: manoeuvre is not Manoeuvre.LANE_CHANGE and _nudges(steps),
    }
    return {tag for tag, is_there in holds.items() if is_there}


def scripted_events(drive: Drive, others: Others, script: Iterable[ScriptedEvent]) -> set[EventTag]:
    """The events of ``script`` whose time overlaps the scene, and whose actors come near the ego and are not behind it."""
    start = drive.scene.observation.ego.timestamp_us
    end = start + round(1e6 * 0.5 * (len(drive.poses) - 1))
    ego = drive.poses[others.frame]
    away = others.center - ego[:, :2]
    ahead = away[:, 0] * np.cos(ego[:, 2]) + away[:, 1] * np.sin(ego[:, 2])
    near = set(others.token[(np.hypot(*away.T) < REACH_M) & (ahead > 0.0)].tolist())
    return {event.kind for event in script if event.first_us <= end and event.last_us >= start and event.tokens & near}


def _signals_ahead(drive: Drive) -> dict[str, float]:
    """Lane connectors with a signal on the ego's line, and the arc length at which each begins."""
    names = {name for now in drive.lights for name in now}
    lanes = [lane for lane in drive.scene.vector_map.lanes if lane.lane_id in names]
    if not lanes:
        return {}
    begin, begin_off = project(drive.line, np.array([lane.centerline[0] for lane in lanes]))
    end, end_off = project(drive.line, np.array([lane.centerline[-1] for lane in lanes]))
    on_line = (np.abs(begin_off) < LANE_HALF_M) & (np.abs(end_off) < LANE_HALF_M) & (end > begin + 1.0)
    return {lane.lane_id: float(arc) for lane, arc, is_on in zip(lanes, begin, on_line, strict=True) if is_on}


def _sees_amber(drive: Drive) -> bool:
    """A signal on the way is yellow while the stop line is 1 to 5 s away."""
    for name, arc in _signals_ahead(drive).items():
        for k, states in enumerate(drive.lights):
            seconds = (arc - drive.arcs[k] - FRONT_M) / max(drive.speeds[k], 0.5)
            if states.get(name) is LightState.YELLOW and 1.0 <= seconds <= 5.0:
                return True
    return False


def _waits_at_red(drive: Drive) -> bool:
    """The ego stands within 40 m of a stop line on its way while the signal there is red."""
    for name, arc in _signals_ahead(drive).items():
        for k, states in enumerate(drive.lights):
            gap = arc - drive.arcs[k] - FRONT_M
            if states.get(name) is LightState.RED and -2.0 <= gap <= 40.0 and drive.speeds[k] < STANDING_MPS:
                return True
    return False


def _meets_oncoming(drive: Drive, others: Others, steps: tuple[LaneStep, ...]) -> bool:
    """Somebody drives towards the ego, at most 40 m ahead, before it has turned, and a junction is crossed.

    Whoever is inside the bend has come out of the street that the ego turns into, and is in nobody's way.
    """
    if not any(step.lane.intersection_id is not None for step in steps):
        return False
    ego = drive.poses[others.frame]
    away = others.center - ego[:, :2]
    ahead = away[:, 0] * np.cos(ego[:, 2]) + away[:, 1] * np.sin(ego[:, 2])
    left = away[:, 1] * np.cos(ego[:, 2]) - away[:, 0] * np.sin(ego[:, 2])
    towards = np.abs(wrap_angle(others.heading - ego[:, 2])) > np.deg2rad(135.0)
    early = drive.turn[others.frame] < 0.5
    outside = others.offset < 0.0
    drives = others.is_kind(AgentKind.VEHICLE, AgentKind.BICYCLE) & (others.speed > 1.0)
    return bool(
        (drives & towards & early & outside & (ahead > 0.0) & (np.hypot(*away.T) < 40.0) & (left > -2.0) & (left < 20.0)).any()
    )


def _yields(drive: Drive, others: Others) -> bool:
    """The ego loses 1.5 m/s, or stands, while somebody crosses its line at most 25 m ahead."""
    slows = drive.speeds < np.maximum.accumulate(drive.speeds) - 1.5
    waits = drive.speeds < STANDING_MPS
    movers = others.is_kind(AgentKind.VEHICLE, AgentKind.BICYCLE, AgentKind.PEDESTRIAN)
    across = (np.abs(others.crossing) > 0.5) & (np.abs(others.crossing) > 0.6 * others.speed)
    near = (others.gap > 0.0) & (others.gap < 25.0) & (np.abs(others.offset) < 4.0)
    return bool((movers & across & near & (slows | waits)[others.frame]).any())


def _sees_walker_crossing(others: Others) -> bool:
    """A pedestrian walks across the ego's line at most 30 m ahead."""
    walks = others.is_kind(AgentKind.PEDESTRIAN) & (np.abs(others.crossing) > 0.3)
    return bool((walks & (np.abs(others.offset) < 2 * LANE_HALF_M) & (others.gap > 0.0) & (others.gap < 30.0)).any())


def _follows(others: Others) -> bool:
    """A vehicle is ahead in the ego's line within 25 m at t = 0."""
    same_way = np.abs(others.turned) < np.deg2rad(45.0)
    near = (np.abs(others.offset) < 1.2) & (others.gap > 0.0) & (others.gap < 25.0)
    return bool((others.is_kind(AgentKind.VEHICLE) & (others.frame == 0) & same_way & near).any())


def _nudges(steps: tuple[LaneStep, ...]) -> bool:
    """More than 0.8 m from the centre of its lane at some time, near it at another, in one street and without changing lanes.

    Four seconds seldom hold both ways: one of them is enough.
    """
    offsets = np.abs([step.offset for step in steps if step.lane.intersection_id is None])
    stays = all(step.changed_from is None for step in steps)
    return bool(stays and len(offsets) > 2 and offsets.max() > 0.8 and min(offsets[0], offsets[-1]) < 0.4)
