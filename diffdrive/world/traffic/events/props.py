"""What stands in a blocked lane: a vehicle that somebody left there, or road works."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffdrive.geometry import Polyline
from diffdrive.scene import AgentKind
from diffdrive.world.traffic.events.sites import Prop
from diffdrive.world.traffic.road_users import RoadUser

CONE = (0.4, 0.4, 0.8)
BARRIER = (1.3, 0.35, 1.0)
SIGN = (0.3, 0.6, 1.6)
TAPER_M = 6.0
CONE_SPACING_M = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A piece of a lane: arc lengths along its centre line and offsets to the left of it, metres."""

    line: Polyline
    first: float
    last: float
    right: float
    left: float

    def pose(self, arc: float, offset: float, turn: float = 0.0) -> tuple[float, float, float]:
        """World pose of a thing ``offset`` to the left of the centre line, turned from its direction."""
        x, y, heading = self.line.interpolate(arc).tolist()
        return float(x - offset * np.sin(heading)), float(y + offset * np.cos(heading)), float(heading + turn)


def standing_vehicle(area: Area, token: str, type_name: str, body: RoadUser) -> Prop:
    """A vehicle in the middle of the area."""
    pose = area.pose((area.first + area.last) / 2, (area.left + area.right) / 2)
    return Prop(token=token, type_name=type_name, kind=body.kind, pose=pose, size=(body.length, body.width, body.height))


def works(area: Area, token: str) -> tuple[Prop, ...]:
    """A sign, cones that taper in and run along the left edge, and barriers round the pit."""
    found = [("sign", AgentKind.CZONE_SIGN, SIGN, area.pose(area.first + 0.4, area.right + 0.4))]
    edge = area.left - CONE[1] / 2
    begin, end = area.first + 1.2, area.last - CONE[0] / 2
    for arc in np.arange(begin, end + 1e-6, CONE_SPACING_M).tolist():
        # Steep at the far end: nobody has to be led back.
        inward = min(1.0, (arc - begin) / TAPER_M, 0.2 + (end - arc) / 2.0)
        offset = area.right + CONE[1] / 2 + inward * (edge - area.right - CONE[1] / 2)
        found.append(("cone", AgentKind.TRAFFIC_CONE, CONE, area.pose(arc, offset)))
    middle, inner = (area.right + area.left - 0.5) / 2, area.left - 0.75
    for arc in (area.first + TAPER_M + 2.5, area.last - 3.5):
        found.append(("barrier", AgentKind.BARRIER, BARRIER, area.pose(arc, middle, np.pi / 2)))
    for arc in np.arange(area.first + TAPER_M + 3.8, area.last - 4.4, 1.6).tolist():
        found.append(("barrier", AgentKind.BARRIER, BARRIER, area.pose(arc, inner)))
    return tuple(
        Prop(token=f"{token}.{k}", type_name=name, kind=kind, pose=pose, size=size)
        for k, (name, kind, size, pose) in enumerate(found)
    )
