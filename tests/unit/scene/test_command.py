"""The driving command follows from the planned route 20 m ahead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffdrive.scene import DrivingCommand, command_from_route
from diffdrive.scene.command import LOOK_AHEAD_M, SIDE_M


def heading_off(lateral: float) -> np.ndarray:
    """A straight route whose point 20 m along it lies ``lateral`` metres to the left."""
    x = np.sqrt(LOOK_AHEAD_M**2 - lateral**2)
    return np.array([[0.0, 0], [x, lateral], [2 * x, 2 * lateral]])


@pytest.mark.parametrize(
    ("lateral", "command"),
    [
        (0.0, DrivingCommand.STRAIGHT),
        (SIDE_M - 0.01, DrivingCommand.STRAIGHT),
        (SIDE_M + 0.01, DrivingCommand.LEFT),
        (-SIDE_M + 0.01, DrivingCommand.STRAIGHT),
        (-SIDE_M - 0.01, DrivingCommand.RIGHT),
    ],
)
def test_the_side_begins_two_metres_off_axis(lateral: float, command: DrivingCommand) -> None:
    assert command_from_route(heading_off(lateral)) is command


def test_no_route_and_no_direction_mean_unknown() -> None:
    assert command_from_route(None) is DrivingCommand.UNKNOWN
    assert command_from_route(np.zeros((1, 2))) is DrivingCommand.UNKNOWN
    assert command_from_route(np.zeros((3, 2))) is DrivingCommand.UNKNOWN


def test_the_distance_is_measured_along_the_route_from_the_car() -> None:
    corner_after_12_m = np.array([[0.0, 0], [12, 0], [12, -40]])
    corner_after_19_m = np.array([[0.0, 0], [19, 0], [19, -40]])
    assert command_from_route(corner_after_12_m) is DrivingCommand.RIGHT
    assert command_from_route(corner_after_19_m) is DrivingCommand.STRAIGHT
    behind = np.array([[-30.0, 0], [0, 0]])
    assert command_from_route(np.concatenate([behind, corner_after_12_m[1:]])) is DrivingCommand.RIGHT
    assert command_from_route(np.concatenate([behind, corner_after_19_m[1:]])) is DrivingCommand.STRAIGHT


def test_a_short_route_is_judged_at_its_end() -> None:
    assert command_from_route(np.array([[0.0, 0], [5, 0], [5, 3]])) is DrivingCommand.LEFT
    assert command_from_route(np.array([[0.0, 0], [5, 0]])) is DrivingCommand.STRAIGHT


@given(st.lists(st.tuples(st.floats(1, 20), st.floats(-1, 1)), min_size=2, max_size=8))
def test_a_mirrored_route_gives_the_mirrored_command(steps: list[tuple[float, float]]) -> None:
    turned = np.cumsum([turn for _, turn in steps])
    lengths = np.array([length for length, _ in steps])
    route = np.cumsum(np.column_stack([lengths * np.cos(turned), lengths * np.sin(turned)]), axis=0)
    mirror = {DrivingCommand.LEFT: DrivingCommand.RIGHT, DrivingCommand.RIGHT: DrivingCommand.LEFT}
    command = command_from_route(route)
    assert command_from_route(route * [1, -1]) is mirror.get(command, command)
