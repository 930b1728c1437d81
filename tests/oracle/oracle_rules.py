"""The reader's way to judge a drive: one function a rule, with loops over steps and tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from oracle_world import Drive

STOPPED_SPEED = 0.05
AHEAD = (0, 3, 6, 9)
"""Steps that the time to collision looks ahead."""


@dataclass(frozen=True)
class Event:
    """The ego's polygon met a track's."""

    step: int
    track: int
    kind: str
    is_fault: bool


def _met(drive: Drive, polygon: shapely.Polygon, step: int) -> list[int]:
    """The tracks whose box touches ``polygon`` at ``step``."""
    return np.flatnonzero(shapely.intersects(drive.world.boxes[:, step], polygon)).tolist()


def collisions(drive: Drive) -> list[Event]:
    """Every meeting with another road user that is looked at.

    A meeting that is not the ego's fault ends the interest in that track: 113 official results of each version say so.
    """
    events, ignored = [], set()
    for step in range(len(drive.states)):
        for track in _met(drive, drive.polygons[step], step):
            if track in ignored:
                continue
            kind = _kind(drive, step, track)
            is_fault = kind in ("stopped track", "front") or (
                kind == "lateral" and bool(drive.is_in_multiple_lanes[step] or drive.is_nondrivable[step])
            )
            events.append(Event(step, track, kind, is_fault))
            if not is_fault:
                ignored.add(track)
    return events


def _kind(drive: Drive, step: int, track: int) -> str:
    tracks = drive.world.scene.tracks
    if drive.speeds[step] <= STOPPED_SPEED:
        return "stopped ego"
    if not tracks.is_agent[track] or tracks.speeds[track] <= STOPPED_SPEED:
        return "stopped track"
    if drive.bearing(step, tracks.centroids[track, step]) > 150:
        return "rear"
    front = shapely.LineString([drive.body[step, 0], drive.body[step, 3]])
    return "front" if front.intersects(drive.world.boxes[track, step]) else "lateral"


def no_at_fault_collisions(drive: Drive, events: list[Event]) -> float:
    """0 for hitting a road user, 1/2 for hitting a thing."""
    is_agent = drive.world.scene.tracks.is_agent
    return min([1.0, *(0.0 if is_agent[event.track] else 0.5 for event in events if event.is_fault)])


def time_to_collision(drive: Drive) -> list[Event]:
    """Every meeting that is looked at when the ego drives straight on for up to 0.9 s; those at fault fail.

    Settled by official results: the list of ignored tracks is this rule's own, and starts empty whatever the collision rule
    ignores or hits; the bearing is seen from where the ego is, not from where it would be. Open (no official result tells them
    apart): the bearing points to where the track will be; lanes and areas are those of now.
    """
    tracks, events, ignored = drive.world.scene.tracks, [], set()
    for step in range(41 if drive.world.version == 1 else 32):
        speed, heading = drive.speeds[step], drive.states[step, 2]
        if speed < 0.005:
            continue
        second = speed * np.array([np.cos(heading), np.sin(heading)])
        corners = np.array([drive.body[step, :4] + 0.1 * later * second for later in AHEAD])
        for later, polygon in zip(AHEAD, shapely.polygons(corners), strict=True):
            for track in _met(drive, polygon, step + later):
                if track in ignored:
                    continue
                kind = _time_to_collision_kind(drive, step, tracks.centroids[track, step + later])
                events.append(Event(step, track, kind, kind != "none"))
                if kind == "none":
                    ignored.add(track)
    return events


def _time_to_collision_kind(drive: Drive, step: int, centroid: np.ndarray) -> str:
    bearing = drive.bearing(step, centroid)
    if bearing < 30:
        return "ahead"
    if bearing > 150:
        return "none"
    if drive.is_in_multiple_lanes[step]:
        return "multiple lanes"
    if drive.is_nondrivable[step]:
        return "nondrivable"
    return "intersection" if drive.axle_in_intersection[step] else "none"


def drivable_area_compliance(drive: Drive) -> float:
    return float(not drive.is_nondrivable.any())


def driving_direction_compliance(drive: Drive) -> float:
    """How far the centre moved off the route's lanes within a second: less than 2 m is free, 6 m costs all."""
    counts = drive.is_oncoming & (~drive.centre_in_intersection if drive.world.version == 2 else True)
    centres = drive.body[:, 4]
    moved = np.array([0.0, *np.hypot(*np.diff(centres, axis=0).T)]) * counts
    worst = max(moved[max(0, step - 10) : step + 1].sum() for step in range(len(moved)))
    return 1.0 if worst < 2 else 0.5 if worst < 6 else 0.0


def traffic_light_compliance(drive: Drive) -> float:
    """0 for touching a connector of the route while it is red, also for standing in it already."""
    lights = drive.world.scene.red_lights
    for polygon, is_red in zip(drive.world.red, lights.is_red, strict=True):
        if any(is_red[step] and drive.polygons[step].intersects(polygon) for step in range(len(drive.states))):
            return 0.0
    return 1.0


def lane_keeping(drive: Drive) -> float:
    """0 for 20 steps in a row more than 0.5 m beside the centreline. Steps with the centre in an intersection are as if they
    were not: they neither lengthen a row nor end it.
    """
    row = 0
    for step in range(len(drive.states)):
        if drive.centre_in_intersection[step]:
            continue
        is_off = drive.world.centerline.distance(shapely.Point(drive.body[step, 4])) > 0.5
        row = row + 1 if is_off else 0
        if row >= 20:
            return 0.0
    return 1.0


def progress(drive: Drive) -> float:
    """Metres along the centreline from the first to the last centre, never negative."""
    first, last = (drive.world.centerline.project(shapely.Point(drive.body[step, 4])) for step in (0, -1))
    return max(0.0, last - first)
