"""Every tag, in a scene drawn to have it and in one that just does not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hand_made_drives import FRAMES, ONE_LANE, START_US, TWO_LANES, Box, along, car, curved, scene, steady, straight, walker

from diffdrive.benchmark.drivers import Blind, path_ahead
from diffdrive.benchmark.tags import Density, EventTag, Manoeuvre, SceneTags, ScriptedEvent, density_of, tag_scene
from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind, Agents, LightState, Scene, VectorMap
from diffdrive.world.conditions import conditions_of

GREEN, YELLOW, RED = LightState.GREEN, LightState.YELLOW, LightState.RED
STOPPING = along(np.array([[0.0, 0.0], [200.0, 0.0]]), [6, 5, 4, 3, 2, 1, 0.5, 0, 0, 0])


def events(one: Scene, script: Sequence[ScriptedEvent] = ()) -> set[EventTag]:
    return set(tag_scene(one, script).events)


def still(place: tuple[float, float], velocity: tuple[float, float] = (0.01, 0.0), token: str = "car") -> list[Box]:
    return car([place] * FRAMES, velocity, token)


def test_a_scene_alone_on_the_road_has_no_event() -> None:
    one = scene(steady(8.0), log_name="town6000-log03")
    light = conditions_of("town6000-log03").light
    assert tag_scene(one) == SceneTags(manoeuvre=Manoeuvre.CRUISE, density=Density.QUIET, light=light, events=())


@pytest.mark.parametrize(
    ("speeds", "name"),
    [
        ([0.1] * 10, Manoeuvre.STANDING),
        ([0.3, 0.5, 1, 2, 3, 4, 5, 6, 6, 6], Manoeuvre.LAUNCH),
        ([6, 5, 4, 3, 2, 1, 0.5, 0, 0, 0], Manoeuvre.STOP),
        ([5, 5, 6, 6, 7, 7, 8, 8, 8, 8], Manoeuvre.ACCELERATE),
        ([8, 8, 7, 7, 6, 6, 5, 5, 5, 5], Manoeuvre.DECELERATE),
        ([8] * 10, Manoeuvre.CRUISE),
    ],
)
def test_manoeuvres_by_speed(speeds: list[float], name: Manoeuvre) -> None:
    assert tag_scene(scene(along(np.array([[0.0, 0.0], [200.0, 0.0]]), speeds))).manoeuvre is name


def arc(radius: float, turn: float, points: int = 40) -> np.ndarray:
    """[K, 2] an arc from the origin, to the left for a positive turn."""
    angle = np.linspace(0.0, abs(turn), points)
    return np.column_stack([radius * np.sin(angle), np.sign(turn) * radius * (1 - np.cos(angle))])


@pytest.mark.parametrize(("turn", "name"), [(1.5, Manoeuvre.LEFT), (-1.5, Manoeuvre.RIGHT)])
def test_turns(turn: float, name: Manoeuvre) -> None:
    assert tag_scene(scene(along(arc(15.0, turn), [5.0] * 10))).manoeuvre is name


def test_a_change_of_lanes_is_told_by_the_map() -> None:
    line = np.array([[0.0, 0.0], [10.0, 0.0], [30.0, 3.5], [200.0, 3.5]])
    assert tag_scene(scene(along(line, [8.0] * 10), vector_map=TWO_LANES)).manoeuvre is Manoeuvre.LANE_CHANGE
    assert tag_scene(scene(along(line, [8.0] * 10), vector_map=ONE_LANE)).manoeuvre is Manoeuvre.CRUISE


def test_out_of_a_lane_that_ends_and_along_one_that_joins_is_a_merge() -> None:
    ending = VectorMap(
        lanes=(
            straight("1", 0.0, end=60.0, left_lane_id="2"),
            straight("2", 3.5, end=60.0, right_lane_id="1", successor_ids=("3",)),
            straight("3", 3.5, begin=60.0, predecessor_ids=("2",)),
        )
    )
    line = np.array([[0.0, 0.0], [10.0, 0.0], [30.0, 3.5], [200.0, 3.5]])
    assert tag_scene(scene(along(line, [8.0] * 10), vector_map=ending)).manoeuvre is Manoeuvre.MERGE
    slanted = np.array([[-50.0, -15.0], [20.0, 0.0]])
    joined = VectorMap(
        lanes=(
            straight("1", 0.0, end=20.0, successor_ids=("3",)),
            curved("2", slanted, successor_ids=("3",)),
            straight("3", 0.0, begin=20.0, predecessor_ids=("1", "2")),
        )
    )
    assert tag_scene(scene(steady(8.0), vector_map=joined)).manoeuvre is Manoeuvre.MERGE
    alone = VectorMap(lanes=(joined.lanes[0], straight("3", 0.0, begin=20.0, predecessor_ids=("1",))))
    assert tag_scene(scene(steady(8.0), vector_map=alone)).manoeuvre is Manoeuvre.CRUISE


@pytest.mark.parametrize(("radius", "name"), [(18.0, Manoeuvre.ROUNDABOUT), (60.0, Manoeuvre.CRUISE)])
def test_a_small_ring_of_lanes_is_a_roundabout_and_a_block_is_none(radius: float, name: Manoeuvre) -> None:
    quarter = arc(radius, np.pi / 2)
    lanes = []
    for k in range(4):
        turned = np.array([[np.cos(k * np.pi / 2), -np.sin(k * np.pi / 2)], [np.sin(k * np.pi / 2), np.cos(k * np.pi / 2)]])
        center = np.array([0.0, radius])
        points = (quarter - center) @ turned.T + center
        lanes.append(curved(str(k), points, successor_ids=(str((k + 1) % 4),), predecessor_ids=(str((k - 1) % 4),)))
    drive = along(arc(radius, 0.45), [2.0] * 10)
    assert tag_scene(scene(drive, vector_map=VectorMap(lanes=tuple(lanes)))).manoeuvre is name


@pytest.mark.parametrize(
    ("count", "density"),
    [
        (0, Density.QUIET),
        (19, Density.QUIET),
        (20, Density.NORMAL),
        (40, Density.BUSY),
        (59, Density.BUSY),
        (60, Density.DENSE),
    ],
)
def test_density_counts_boxes_within_64_m(count: int, density: Density) -> None:
    places = [(63.9, 0.0)] * count + [(64.1, 0.0)] * 100
    agents = Agents(
        track_tokens=tuple(str(k) for k in range(len(places))),
        kinds=(AgentKind.VEHICLE,) * len(places),
        boxes=np.column_stack([places, np.tile([0.0, 4.0, 2.0], (len(places), 1))]),
        vertical=np.ones((len(places), 2)),
        velocities=np.zeros((len(places), 2)),
    )
    assert density_of(agents) is density


@pytest.mark.parametrize(
    ("place", "velocity", "is_lead"),
    [
        ((25.0, 0.0), (7.0, 0.0), True),
        ((25.0, 3.5), (7.0, 0.0), False),  # in the lane beside
        ((40.0, 0.0), (7.0, 0.0), False),  # far ahead
        ((-10.0, 0.0), (7.0, 0.0), False),  # behind
        ((25.0, 0.0), (0.0, 7.0), False),  # across
    ],
)
def test_lead_vehicle(place: tuple[float, float], velocity: tuple[float, float], is_lead: bool) -> None:
    assert (EventTag.LEAD_VEHICLE in events(scene(steady(8.0), boxes=[still(place, velocity)]))) == is_lead


def test_a_walker_across_the_way_is_a_crossing_and_one_along_the_pavement_is_not() -> None:
    across = walker([(35.0, -4.0 + 0.7 * k) for k in range(FRAMES)])
    beside = walker([(35.0, -5.5)] * FRAMES, (1.4, 0.0))
    assert events(scene(steady(4.0), boxes=[across])) == {EventTag.PEDESTRIAN_CROSSING}
    assert events(scene(steady(4.0), boxes=[beside])) == set()


def test_braking_for_somebody_who_crosses_is_yielding_and_driving_on_is_not() -> None:
    across = walker([(18.0, -4.0 + 0.7 * k) for k in range(FRAMES)])
    assert EventTag.YIELD in events(scene(STOPPING, boxes=[across]))
    assert EventTag.YIELD not in events(scene(steady(1.5), boxes=[across]))
    assert EventTag.YIELD not in events(scene(STOPPING))


def junction(*, turn: float = 0.0) -> VectorMap:
    """A street that crosses a junction 25 m ahead, straight on or in a left turn."""
    beyond = arc(15.0, turn) + [25.0, 0.0] if turn else np.array([[25.0, 0.0], [45.0, 0.0]])
    return VectorMap(
        lanes=(
            straight("1", 0.0, end=25.0, successor_ids=("2",)),
            curved("2", beyond, predecessor_ids=("1",), intersection_id="9"),
        )
    )


def test_amber_counts_while_one_could_still_stop() -> None:
    turning = ("2", [GREEN] * 2 + [YELLOW] * 6 + [RED] * 3)
    # Four metres a second, 21 m from the front bumper to the line: five seconds.
    assert EventTag.AMBER in events(scene(steady(4.0), vector_map=junction(), light=turning))
    assert EventTag.AMBER not in events(scene(steady(4.0), vector_map=junction(), light=("2", [GREEN] * FRAMES)))
    late = ("2", [GREEN] * 9 + [YELLOW] * 2)
    assert EventTag.AMBER not in events(scene(steady(6.0), vector_map=junction(), light=late)), "too close to stop"
    other = ("7", [YELLOW] * FRAMES)
    assert EventTag.AMBER not in events(scene(steady(4.0), vector_map=junction(), light=other)), "another lane's light"


def test_standing_at_red_is_no_yielding() -> None:
    across = walker([(18.0, -4.0 + 0.7 * k) for k in range(FRAMES)])
    found = events(scene(STOPPING, vector_map=junction(), light=("2", [RED] * FRAMES), boxes=[across]))
    assert EventTag.RED_LIGHT in found and EventTag.YIELD not in found
    assert EventTag.RED_LIGHT not in events(scene(STOPPING, vector_map=junction(), light=("2", [GREEN] * FRAMES)))


def test_a_left_turn_against_oncoming_traffic_is_unprotected() -> None:
    path = np.concatenate([[[0.0, 0.0]], arc(15.0, 1.57) + [25.0, 0.0]])
    drive = along(path, [9.0] * 10)
    towards = car([(45.0 - 2.0 * k, 3.5) for k in range(FRAMES)], (-4.0, 0.0))
    away = car([(45.0 + 2.0 * k, 0.0) for k in range(FRAMES)], (4.0, 0.0))
    there = junction(turn=1.57)
    assert EventTag.UNPROTECTED_LEFT in events(scene(drive, vector_map=there, boxes=[towards]))
    assert EventTag.UNPROTECTED_LEFT not in events(scene(drive, vector_map=there, boxes=[away]))
    assert EventTag.UNPROTECTED_LEFT not in events(scene(drive, boxes=[towards])), "a bend is no junction"
    inside = car([(26.0 - 2.0 * k, 4.0) for k in range(FRAMES)], (-4.0, 0.0))
    assert EventTag.UNPROTECTED_LEFT not in events(scene(drive, vector_map=there, boxes=[inside])), "from the same street"


def test_round_an_obstacle_and_back_is_a_nudge_and_a_change_of_lanes_is_none() -> None:
    aside = np.array([[0.0, 0.0], [8.0, 0.0], [18.0, 1.6], [24.0, 1.6], [32.0, 0.0], [200.0, 0.0]])
    assert EventTag.NUDGE in events(scene(along(aside, [8.0] * 10)))
    assert EventTag.NUDGE not in events(scene(steady(8.0)))
    change = np.array([[0.0, 0.0], [10.0, 0.0], [30.0, 3.5], [200.0, 3.5]])
    assert EventTag.NUDGE not in events(scene(along(change, [8.0] * 10), vector_map=TWO_LANES))


@pytest.mark.parametrize(
    ("change", "is_there"),
    [
        ({}, True),
        ({"last_us": START_US - 1}, False),  # over before the scene
        ({"first_us": START_US + 4_000_001}, False),  # begins after it
        ({"tokens": frozenset({"somebody"})}, False),  # another actor
    ],
)
def test_scripted_events_overlap_the_scene_and_are_near(change: dict, is_there: bool) -> None:
    values = {"kind": EventTag.CUT_IN, "tokens": frozenset({"car"}), "first_us": 0, "last_us": START_US + 9_000_000} | change
    ahead, far, behind = still((30.0, 3.5)), still((90.0, 3.5)), still((-30.0, 3.5))
    assert (EventTag.CUT_IN in events(scene(steady(4.0), boxes=[ahead]), [ScriptedEvent(**values)])) == is_there
    for other in (far, behind):
        assert EventTag.CUT_IN not in events(scene(steady(4.0), boxes=[other]), [ScriptedEvent(**values)])


def test_blind_drives_the_experts_path_at_the_present_speed() -> None:
    drive = along(np.concatenate([[[0.0, 0.0]], arc(15.0, 1.57) + [10.0, 0.0]]), [6, 5, 4, 3, 2, 1, 1, 1, 1, 1])
    one = scene(drive)
    poses = Blind().plan_scene(one).poses
    line = path_ahead(one)
    distances = [line.project(pose[:2]) for pose in poses]
    np.testing.assert_allclose([arc for arc, _ in distances], 6.0 * 0.5 * np.arange(1, 9), atol=1e-6)
    np.testing.assert_allclose([offset for _, offset in distances], 0.0, atol=1e-6)
    assert Blind().plan_scene(scene(steady(0.0))).poses == pytest.approx(np.zeros((8, 3)))


def test_blind_goes_on_along_the_route_where_the_expert_stopped() -> None:
    route = np.array([[-5.0, 1.0], [20.0, 1.0], [20.0, 60.0]])
    poses = Blind().plan_scene(replace(scene(STOPPING, speed=10.0), route=route)).poses
    # The route lies a metre beside the drive: it is followed with that distance, round its corner too.
    assert poses[-1, 0] == pytest.approx(20.0, abs=0.3) and poses[-1, 1] > 10.0


def test_scenes_without_what_tags_need_are_refused() -> None:
    with pytest.raises(InputError, match="has no future"):
        tag_scene(replace(scene(steady(5.0)), future=None))
