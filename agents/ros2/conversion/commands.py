"""Where to go: Autoware's turn indicators or its route become a driving command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import to_local
from diffdrive.scene import DrivingCommand, command_from_route

TURN_INDICATORS = {
    0: DrivingCommand.UNKNOWN,
    1: DrivingCommand.STRAIGHT,
    2: DrivingCommand.LEFT,
    3: DrivingCommand.RIGHT,
}
"""autoware_vehicle_msgs/TurnIndicatorsCommand: NO_COMMAND, DISABLE, ENABLE_LEFT, ENABLE_RIGHT."""


def command_of_indicators(message: Any) -> DrivingCommand:
    """Of an autoware_vehicle_msgs/TurnIndicatorsCommand. Raises ``InputError`` for a number that it does not define."""
    number = int(message.command)
    if number not in TURN_INDICATORS:
        raise InputError(f"TurnIndicatorsCommand.command must be one of {sorted(TURN_INDICATORS)}, got {number}.")
    return TURN_INDICATORS[number]


def route_line(message: Any, centre_lines: Mapping[int, np.ndarray]) -> np.ndarray:
    """[K, 2] metres in the map frame: the centre lines of an autoware_planning_msgs/LaneletRoute's preferred lanelets.

    ``centre_lines`` holds the points [K, 2] of every lanelet by its id (``read_lanelet_map``). Raises ``InputError`` for an
    empty route and for lanelets that the map does not have.
    """
    lanelets = [int(segment.preferred_primitive.id) for segment in message.segments]
    if missing := [each for each in lanelets if each not in centre_lines]:
        raise InputError(f"The route drives over lanelets {missing[:5]}, which the map does not have. Load its own map.")
    if not lanelets:
        raise InputError("The route has no segments.")
    return np.concatenate([centre_lines[each] for each in lanelets])


def command_on_route(line: np.ndarray, pose: np.ndarray) -> DrivingCommand:
    """The command of a vehicle at ``pose`` [3] on the route ``line`` [K, 2], both in the map frame."""
    points = to_local(np.column_stack([line, np.zeros(len(line))]), pose)[:, :2]
    return command_from_route(points)
