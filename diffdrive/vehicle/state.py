"""What the columns of a vehicle state mean.

A state is a row of eleven numbers about the rear axle: pose in a planar frame, then motion along the vehicle's own axes. The
order is nuPlan's, so recorded states can be compared column by column.
"""

from __future__ import annotations

X, Y, HEADING = 0, 1, 2
"""Metres, metres, radians."""

VELOCITY_X, VELOCITY_Y = 3, 4
"""m/s."""

ACCELERATION_X, ACCELERATION_Y = 5, 6
"""m/s^2."""

STEERING, STEERING_RATE = 7, 8
"""Angle of the front wheels, radians, and its rate, rad/s."""

YAW_RATE, YAW_ACCELERATION = 9, 10
"""rad/s, rad/s^2."""

STATE_SIZE = 11
