"""What must not be seen in a log, on tracks made by hand."""

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind
from diffdrive.world.plausibility import MotionLimits, find_appearances, find_impossible, find_overlaps, motion_extremes
from diffdrive.world.traffic import Track
from diffdrive.world.traffic.recording import REAR_AXLE_SHARE

LENGTH = 4.8


def track(token: str, poses: np.ndarray, kind: AgentKind = AgentKind.VEHICLE, first_step: int = 0) -> Track:
    size = (LENGTH, 1.9, 1.5) if kind is AgentKind.VEHICLE else (0.5, 0.6, 1.7)
    return Track(token=token, type_name="", kind=kind, first_step=first_step, poses=poses, size=size)


def line(speeds: np.ndarray, y: float = 0.0, x: float = 0.0) -> np.ndarray:
    return np.column_stack([x + np.cumsum(speeds) / 10, np.full(len(speeds), y), np.zeros(len(speeds))])


def turning(radius: float, speed: float, steps: int = 60) -> np.ndarray:
    """The centre of a body whose rear axle drives a circle without slip."""
    heading = np.arange(steps) * speed / radius / 10
    forward = np.column_stack([np.cos(heading), np.sin(heading)])
    axle = radius * np.column_stack([np.sin(heading), -np.cos(heading)])
    return np.column_stack([axle + REAR_AXLE_SHARE * LENGTH * forward, heading])


def test_extremes_are_those_of_a_circle() -> None:
    extremes = {name: values.max() for name, values in motion_extremes(track("a", turning(12.0, 6.0))).items()}
    assert extremes["yaw_rate"] == pytest.approx(0.5, rel=1e-3)
    assert extremes["curvature"] == pytest.approx(1 / 12, rel=1e-2)
    assert extremes["lateral_acceleration"] == pytest.approx(3.0, rel=1e-2)
    assert extremes["slip"] < 1e-3 and extremes["acceleration"] < 0.02


@pytest.mark.parametrize(
    ("poses", "is_fine"),
    [
        pytest.param(turning(12.0, 6.0), True, id="a turn"),
        pytest.param(turning(12.0, 10.0), False, id="a turn too fast"),
        pytest.param(turning(2.0, 2.0), False, id="a turn too tight"),
        pytest.param(line(np.linspace(12.0, 0.0, 40)), True, id="braking"),
        pytest.param(line(np.linspace(12.0, 0.0, 12).repeat([*[1] * 11, 20])), False, id="braking as no tyre can"),
        pytest.param(line(np.full(40, 8.0)) + np.outer(np.arange(40), [0.0, 0.15, 0.0]), False, id="sliding sideways"),
        pytest.param(line(np.full(60, 8.0)) + np.outer(np.arange(60) > 30, [2.0, 0.0, 0.0]), False, id="a jump"),
    ],
)
def test_vehicles_move_as_vehicles_can(poses: np.ndarray, is_fine: bool) -> None:
    assert (not find_impossible([track("a", poses)], MotionLimits())) is is_fine


def test_people_are_not_bound_by_what_vehicles_can_do() -> None:
    poses = line(np.full(40, 1.0)) + np.outer(np.arange(40), [0.0, 0.15, 0.0])
    assert not find_impossible([track("p", poses, AgentKind.PEDESTRIAN)], MotionLimits())


def test_overlaps_are_found_when_and_where_they_are() -> None:
    tracks = [track("a", line(np.full(60, 10.0))), track("s", line(np.zeros(60), x=30.0, y=1.5))]
    found = find_overlaps(tracks, 0, 59)
    # Bodies of 4.8 m meet while their middles are less than that apart.
    assert [offence.step for offence in found] == [k for k in range(60) if abs(k + 1.0 - 30.0) < LENGTH]
    assert {offence.tokens for offence in found} == {("a", "s")}
    assert all(np.hypot(*(offence.place - [30.0, 0.75])) < LENGTH for offence in found)
    assert not find_overlaps(tracks, 0, 20)


def test_neighbours_parked_cars_and_people_among_themselves_are_fine() -> None:
    beside = [track("a", line(np.full(20, 8.0))), track("b", line(np.full(20, 8.0), y=2.0))]
    parked = [track("s0", line(np.zeros(20))), track("s1", line(np.zeros(20), x=2.0))]
    people = [track(name, line(np.full(20, 1.3), x=40.0), AgentKind.PEDESTRIAN) for name in ("p0", "p1")]
    assert not find_overlaps([beside[0], *people], 0, 19)
    assert not find_overlaps(beside, 0, 19)
    assert not find_overlaps(parked, 0, 19), "neither moves: the one who parks them sees to it"
    hit = find_overlaps([parked[0], track("p", line(np.full(20, 1.3), x=-4.0), AgentKind.PEDESTRIAN)], 0, 19)
    assert hit, "somebody walks through a parked car"


def test_appearances_are_where_a_track_begins_or_ends_in_mid_run() -> None:
    tracks = [
        track("whole", line(np.full(50, 1.0))),
        track("late", line(np.full(30, 1.0)), first_step=20),
        track("gone", line(np.full(30, 1.0))),
    ]
    assert [(o.tokens, o.step) for o in find_appearances(tracks, 50)] == [(("late",), 20), (("gone",), 29)]


def test_wrong_limits_say_the_rule() -> None:
    with pytest.raises(InputError, match=r"MotionLimits\.slip must be positive"):
        MotionLimits(slip=0.0)
