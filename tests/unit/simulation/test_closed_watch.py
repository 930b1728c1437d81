"""Contacts, stop lines, the time to collision and the route's arithmetic."""

import math

import numpy as np
import pytest

from diffdrive.scene import AgentKind, Agents, LightState, TrafficLight
from diffdrive.simulation.infractions import InfractionKind
from diffdrive.simulation.judging import WINDOW, window_starts
from diffdrive.simulation.route import Route
from diffdrive.simulation.stage import Stage, StageFiles
from diffdrive.simulation.trace import Trace
from diffdrive.simulation.view import View
from diffdrive.simulation.watch import Contacts, RedLights, rows_touched, time_to_collision
from diffdrive.vehicle import PACIFICA
from diffdrive.vehicle.state import STATE_SIZE, VELOCITY_X

Staged = tuple[Stage, StageFiles]
FRONT_M = PACIFICA.rear_axle_to_center + PACIFICA.length / 2


def state(x: float = 0.0, y: float = 0.0, heading: float = 0.0, speed: float = 0.0) -> np.ndarray:
    row = np.zeros(STATE_SIZE)
    row[:3], row[VELOCITY_X] = (x, y, heading), speed
    return row


def somebody(x: float, y: float, speed: float = 0.0, kind: AgentKind = AgentKind.VEHICLE, heading: float = 0.0) -> Agents:
    return Agents(
        track_tokens=("other",),
        kinds=(kind,),
        boxes=np.array([[x, y, heading, 4.0, 2.0]]),
        vertical=np.array([[0.75, 1.5]]),
        velocities=np.array([[speed * math.cos(heading), speed * math.sin(heading)]]),
    )


def test_bodies_touch_where_they_overlap() -> None:
    assert len(rows_touched(state(), somebody(FRONT_M + 1.9, 0.0))) == 1
    assert len(rows_touched(state(), somebody(FRONT_M + 2.1, 0.0))) == 0
    assert len(rows_touched(state(), somebody(0.0, 2.2))) == 0


def test_the_time_to_collision_is_gap_over_closing_speed() -> None:
    gap = 20.0
    ahead = somebody(FRONT_M + 2.0 + gap, 0.0, speed=2.0)
    assert time_to_collision(state(speed=10.0), ahead) == pytest.approx(gap / 8.0, abs=0.1)
    assert time_to_collision(state(speed=2.0), ahead) == math.inf
    assert time_to_collision(state(speed=0.0), somebody(FRONT_M + 5.0, 0.0, speed=-9.0)) == math.inf
    assert time_to_collision(state(speed=10.0), somebody(-20.0, 0.0, speed=30.0)) == math.inf


def test_windows_cover_every_step_and_end_with_the_drive() -> None:
    for last in (3, WINDOW, WINDOW + 1, 95, 300):
        starts = window_starts(last)
        covered = {step for first in starts for step in range(first, first + WINDOW + 1)}
        assert set(range(last + 1)) <= covered
        assert starts[-1] + WINDOW == last


@pytest.fixture()
def trace(staged: Staged) -> Trace:
    start = staged[0].starts[0]
    return Trace(start, Route(start))


def drive_onto(trace: Trace, other: Agents, speed: float) -> None:
    """One step in which the ego rolls straight on, after which ``other`` is all there is."""
    trace.see(Agents.none(), ())
    row = trace.state.copy()
    row[:2] += 0.1 * speed * np.array([math.cos(row[2]), math.sin(row[2])])
    row[VELOCITY_X] = speed
    trace.move(row)
    trace.see(other, ())


def placed(trace: Trace, ahead_m: float, speed: float, kind: AgentKind = AgentKind.VEHICLE) -> Agents:
    """Somebody on the ego's line, its middle ``ahead_m`` before the rear axle."""
    x, y, heading = trace.state[:3]
    return somebody(x + ahead_m * math.cos(heading), y + ahead_m * math.sin(heading), speed, kind, heading)


@pytest.mark.parametrize(
    ("ahead_m", "theirs", "ours", "kind", "expected"),
    [
        (FRONT_M + 1.5, 0.0, 5.0, AgentKind.VEHICLE, InfractionKind.COLLISION_VEHICLE),
        (FRONT_M + 1.5, 2.0, 5.0, AgentKind.PEDESTRIAN, InfractionKind.COLLISION_PEDESTRIAN),
        (FRONT_M + 1.5, 0.0, 5.0, AgentKind.TRAFFIC_CONE, InfractionKind.COLLISION_STATIC),
        (FRONT_M + 1.5, 2.0, 0.0, AgentKind.VEHICLE, None),
        (-2.0, 6.0, 5.0, AgentKind.VEHICLE, None),
    ],
    ids=["into a parked car", "into a walker", "into a cone", "hit while standing", "hit from behind"],
)
def test_blame_is_as_in_scoring(
    staged: Staged, trace: Trace, ahead_m: float, theirs: float, ours: float, kind: AgentKind, expected: InfractionKind | None
) -> None:
    drive_onto(trace, placed(trace, ahead_m, theirs, kind), ours)
    contacts, view = Contacts(), View(staged[0], staged[0].starts[0])
    found = contacts.watch(trace, view)
    assert [infraction.kind for infraction in found] == ([] if expected is None else [expected])
    assert contacts.blameless == (["other"] if expected is None else [])
    assert contacts.watch(trace, view) == []


@pytest.mark.parametrize(
    ("light", "reach_m", "counts"),
    [
        (LightState.RED, 1.5, True),
        (LightState.GREEN, 1.5, False),
        (LightState.RED, 0.5, False),
        (LightState.YELLOW, 1.5, False),
    ],
    ids=["over on red", "over on green", "a little over", "over on yellow"],
)
def test_only_who_crosses_the_line_on_red_runs_a_light(
    staged: Staged, trace: Trace, light: LightState, reach_m: float, counts: bool
) -> None:
    stage = staged[0]
    lane = next(
        lane for lane in stage.network.vector_map.lanes if lane.lane_id in stage.network.signals and not lane.is_bike_lane
    )
    step = lane.centerline[1] - lane.centerline[0]
    heading = math.atan2(step[1], step[0])
    lights = tuple(TrafficLight(lane_id=name, state=light) for name in stage.network.signals)
    watch, found = RedLights(stage), []
    for over_m in (reach_m - 1.0, reach_m, reach_m + 4.0):
        back = FRONT_M - over_m
        trace.move(
            state(lane.centerline[0][0] - back * math.cos(heading), lane.centerline[0][1] - back * math.sin(heading), heading)
        )
        trace.see(Agents.none(), lights)
        if over_m >= reach_m and over_m < reach_m + 1.0:
            found += watch.watch(trace)
    assert [infraction.kind for infraction in found] == ([InfractionKind.RED_LIGHT] if counts else [])


def test_a_route_is_complete_where_the_log_ended(staged: Staged) -> None:
    start = staged[0].starts[0]
    route = Route(start)
    assert route.completion(route.start) == 0.0
    assert route.completion(route.goal) == 1.0
    driven = np.hypot(*np.diff(start.record.poses[15:, :2], axis=0).T).sum()
    assert route.length_m == pytest.approx(driven, rel=0.05)
    arc, aside = route.advance(route.start, start.record.poses[15, :2])
    assert arc == pytest.approx(route.start, abs=0.1)
    assert aside < 2.0
    assert len(route.ahead(route.line.length)) >= 1
