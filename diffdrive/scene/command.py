"""The driving command, from the planned route alone."""

from __future__ import annotations

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.geometry import Polyline
from diffdrive.scene.observation import DrivingCommand

LOOK_AHEAD_M = 20.0
SIDE_M = 2.0


def command_from_route(route: np.ndarray | None) -> DrivingCommand:
    """Left or right where the route ``LOOK_AHEAD_M`` ahead lies more than ``SIDE_M`` to that side; unknown without a route.

    ``route`` [K, 2] is in the ego frame and may begin behind the car; the distance is measured along it from the point
    nearest to the car. A route that ends sooner is judged at its end.
    """
    if route is None:
        return DrivingCommand.UNKNOWN
    try:
        line = Polyline(route)
    except InputError:
        return DrivingCommand.UNKNOWN
    here, _ = line.project(np.zeros(2))
    lateral = float(line.interpolate(here + LOOK_AHEAD_M)[1])
    if lateral > SIDE_M:
        return DrivingCommand.LEFT
    if lateral < -SIDE_M:
        return DrivingCommand.RIGHT
    return DrivingCommand.STRAIGHT
