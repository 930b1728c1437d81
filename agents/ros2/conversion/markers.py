"""Plans as visualization_msgs/MarkerArray for RViz: the proposals, what is driven, and the status in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffdrive.geometry import to_world
from diffdrive.runtime.envelope import DecisionStatus
from diffdrive.runtime.plan import Plan
from diffdrive.scene import Trajectory

from .making import MakesMessages, header_message
from .trajectories import Place, pose_message

_LINE_STRIP, _TEXT, _DELETE_ALL = 4, 9, 3
_LIFT_M = 0.1
"""Lines are drawn so far above the ground."""

_COLOURS = {
    DecisionStatus.PLANNED: (0.1, 0.8, 0.3),
    DecisionStatus.REPAIRED: (0.9, 0.8, 0.1),
    DecisionStatus.CARRIED_ON: (0.9, 0.8, 0.1),
    DecisionStatus.STOPPING: (1.0, 0.5, 0.1),
    DecisionStatus.EMERGENCY_STOP: (0.95, 0.15, 0.15),
}


def markers_message(make: MakesMessages, driven: Trajectory, status: DecisionStatus, plan: Plan | None, place: Place) -> Any:
    """A visualization_msgs/MarkerArray in the frame of ``place``; the better a proposal's score, the less transparent it is."""
    markers = [
        make("visualization_msgs/msg/Marker", header=header_message(make, place.stamp_us, place.frame_id), action=_DELETE_ALL)
    ]
    if plan is not None:
        for number in np.argsort(plan.scores):
            share = float(plan.scores[number] / max(plan.scores.max(), 1e-9))
            colour = (0.2, 0.5, 1.0, 0.15 + 0.6 * share)
            markers.append(_line(make, "proposals", int(number), plan.proposals[number], colour, 0.1, place))
    markers.append(_line(make, "driven", 0, driven.poses, (*_COLOURS[status], 1.0), 0.4, place))
    markers.append(_text(make, status.value, (*_COLOURS[status], 1.0), place))
    return make("visualization_msgs/msg/MarkerArray", markers=markers)


def _line(
    make: MakesMessages,
    namespace: str,
    number: int,
    poses: np.ndarray,
    colour: tuple[float, float, float, float],
    width_m: float,
    place: Place,
) -> Any:
    points = to_world(np.concatenate([np.zeros((1, 3)), poses]), place.pose)
    return make(
        "visualization_msgs/msg/Marker",
        header=header_message(make, place.stamp_us, place.frame_id),
        ns=namespace,
        id=number,
        type=_LINE_STRIP,
        pose=pose_message(make, np.zeros(3), 0.0),
        scale=make("geometry_msgs/msg/Vector3", x=width_m),
        color=_colour(make, colour),
        points=[make("geometry_msgs/msg/Point", x=float(x), y=float(y), z=place.height + _LIFT_M) for x, y, _ in points],
    )


def _text(make: MakesMessages, text: str, colour: tuple[float, float, float, float], place: Place) -> Any:
    return make(
        "visualization_msgs/msg/Marker",
        header=header_message(make, place.stamp_us, place.frame_id),
        ns="status",
        type=_TEXT,
        pose=pose_message(make, place.pose, place.height + 3.0),
        scale=make("geometry_msgs/msg/Vector3", z=0.8),
        color=_colour(make, colour),
        text=text,
    )


def _colour(make: MakesMessages, colour: tuple[float, float, float, float]) -> Any:
    red, green, blue, alpha = colour
    return make("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=alpha)
