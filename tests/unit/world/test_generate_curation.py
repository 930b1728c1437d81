"""The choice of windows, on tracks made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.scene import AgentKind, Area, AreaKind, VectorMap
from diffdrive.vehicle import PACIFICA
from diffdrive.world.curation import CurationConfig, Window, choose_windows, steps_in_reach
from diffdrive.world.events import Event, EventKind
from diffdrive.world.manoeuvres import LaneFacts, Manoeuvre, ego_motion, name_manoeuvre
from diffdrive.world.roads import RoadNetwork
from diffdrive.world.traffic import Recording, Track

SIZE = (PACIFICA.length, PACIFICA.width, PACIFICA.height)
CONFIG = CurationConfig(logs_per_town=4, log_s=10.0, stride_s=2.0, min_travel_m=30.0)


def track(token: str, poses: np.ndarray, type_name: str = "ego") -> Track:
    lanes = tuple("1" for _ in poses)
    return Track(token=token, type_name=type_name, kind=AgentKind.VEHICLE, first_step=0, poses=poses, size=SIZE, lane_ids=lanes)


def straight(speed: float, seconds: float = 14.0, y: float = 0.0) -> np.ndarray:
    x = np.arange(round(seconds * 10)) * speed / 10
    return np.column_stack([x, np.full_like(x, y), np.zeros_like(x)])


def arc(turn: float, speed: float = 5.0) -> np.ndarray:
    heading = np.linspace(0.0, turn, 60)
    places = np.cumsum(np.column_stack([np.cos(heading), np.sin(heading)]) * speed / 10, axis=0)
    return np.column_stack([places, heading])


def ramp(first: float, last: float) -> np.ndarray:
    x = np.cumsum(np.linspace(first, last, 41)) / 10
    return np.column_stack([np.concatenate([x, x[-1] + np.arange(1, 20) * last / 10]), np.zeros((60, 2))])


@pytest.mark.parametrize(
    ("poses", "expected"),
    [
        (straight(0.0), Manoeuvre.STANDING),
        (straight(8.0), Manoeuvre.CRUISE),
        (arc(1.5), Manoeuvre.LEFT),
        (arc(-1.5), Manoeuvre.RIGHT),
        (ramp(0.0, 6.0), Manoeuvre.LAUNCH),
        (ramp(6.0, 0.0), Manoeuvre.STOP),
        (ramp(4.0, 9.0), Manoeuvre.ACCELERATE),
        (ramp(9.0, 4.0), Manoeuvre.DECELERATE),
    ],
)
def test_manoeuvres_have_their_names(poses: np.ndarray, expected: Manoeuvre) -> None:
    assert name_manoeuvre(ego_motion(track("a", poses)), 0) is expected


def test_ego_motion_is_that_of_the_rear_axle_on_a_curve() -> None:
    motion = ego_motion(track("a", arc(3.0)))
    np.testing.assert_allclose(motion.yaw_rates[5:-5], 3.0 / 5.9, rtol=1e-6)
    forward = np.column_stack([np.cos(motion.poses[:, 2]), np.sin(motion.poses[:, 2])])
    places = np.gradient(motion.poses[:, :2], 0.1, axis=0)
    np.testing.assert_allclose(motion.velocities[:, 0], np.sum(places * forward, axis=1), atol=1e-9)
    # On a left turn at steady speed the rear axle is pulled to the left: v times yaw rate.
    expected = motion.velocities[30, 0] * motion.yaw_rates[30]
    assert motion.accelerations[30, 1] == pytest.approx(expected, rel=0.15)


def road(y: float = 0.0, half: float = 4.0) -> RoadNetwork:
    outline = np.array([[-50.0, y - half], [400.0, y - half], [400.0, y + half], [-50.0, y + half]])
    surface = VectorMap(areas=(Area(area_id="1", kind=AreaKind.GENERIC_DRIVABLE, outline=outline),))
    return RoadNetwork(vector_map=surface, approaches={}, lane_of={}, signals={})


def choose(*tracks: Track, collisions: tuple[tuple[int, str], ...] = (), where: RoadNetwork | None = None) -> int:
    steps = max(len(track.poses) for track in tracks)
    recording = Recording(steps=steps, tracks=tracks, lights=((),) * steps, collisions=collisions)
    return len(choose_windows(recording, (), where or road(), CONFIG, first_step=0))


def test_a_plain_drive_is_chosen_once() -> None:
    assert choose(track("a", straight(8.0))) == 1
    assert choose(track("a", straight(8.0, seconds=24.0))) == 2, "two windows that do not overlap"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(track("b", straight(8.0, y=1.5), "sedan"), id="bodies touch"),
        pytest.param(track("b", straight(8.0) + [3.0, 0.0, 0.0], "sedan"), id="too close ahead"),
    ],
)
def test_drives_that_touch_somebody_are_left_out(other: Track) -> None:
    assert choose(track("a", straight(8.0)), other) == 0


def test_a_neighbour_beside_is_fine() -> None:
    assert choose(track("a", straight(8.0)), track("b", straight(8.0, y=3.2), "sedan")) == 1


def test_drives_with_a_recorded_collision_off_the_road_or_at_rest_are_left_out() -> None:
    assert choose(track("a", straight(8.0)), collisions=((70, "a"),)) == 0
    assert choose(track("a", straight(8.0)), where=road(y=3.5)) == 0
    assert choose(track("a", straight(0.5))) == 0


def test_other_bodies_are_no_egos() -> None:
    assert choose(track("a", straight(8.0), "sedan")) == 0


def test_what_is_rare_so_far_is_chosen_next() -> None:
    speeds = 6.0 - 4.0 * np.cos(np.linspace(0.0, 4 * np.pi, 140))
    waves = np.column_stack([np.cumsum(speeds) / 10, np.full(140, 12.0), np.zeros(140)])
    tracks = (track("c0", straight(8.0)), track("c1", straight(8.0, y=4.0)), track("waves", waves))
    recording = Recording(steps=140, tracks=tracks, lights=((),) * 140, collisions=())
    config = CurationConfig(logs_per_town=2, log_s=10.0, stride_s=2.0, min_travel_m=30.0)
    chosen = choose_windows(recording, (), road(half=50.0), config, first_step=0)
    assert {window.track.token for window in chosen} == {"c0", "waves"}


def test_lanes_tell_roundabouts_merges_and_lane_changes() -> None:
    motion = ego_motion(track("a", straight(8.0)))
    facts = LaneFacts(
        ring=frozenset({"r"}), ramp=frozenset({"p"}), expressway=frozenset({"x", "y"}), beside={"x": ("y",), "y": ("x",)}
    )

    def named(*lanes: str) -> Manoeuvre:
        return name_manoeuvre(motion, 0, [lane for lane in lanes for _ in range(20)] + [lanes[-1]] * 100, facts)

    assert named("1", "r", "2") is Manoeuvre.ROUNDABOUT
    assert named("p", "x") is Manoeuvre.MERGE
    assert named("x", "y") is Manoeuvre.LANE_CHANGE
    assert named("x", "p") is Manoeuvre.CRUISE, "off the expressway is no merge"
    assert named("1", "", "2") is Manoeuvre.CRUISE


def brake(first_step: int, last_step: int) -> Event:
    return Event(kind=EventKind.HARD_BRAKE, tokens=("b",), first_step=first_step, last_step=last_step, place=np.zeros(2))


def test_an_event_counts_while_its_actors_are_within_reach() -> None:
    ego, actor = track("a", straight(8.0)), track("b", straight(4.0) + [60.0, 3.5, 0.0], "sedan")
    window = Window(track=ego, motion=ego_motion(ego), first_step=10, last_step=110, manoeuvres=())
    tracks = {"a": ego, "b": actor}
    # The gap of 60 m closes at 4 m/s: within 40 m after 5 s.
    assert steps_in_reach(brake(0, 139), window, tracks).tolist() == list(range(51, 111))
    assert steps_in_reach(brake(0, 30), window, tracks).tolist() == []
    assert steps_in_reach(brake(60, 70), window, {"a": ego}).tolist() == [], "nobody is known by that name"


def test_what_has_an_event_is_chosen_first() -> None:
    tracks = tuple(track(name, straight(8.0, y=y)) for name, y in (("c0", 0.0), ("c1", 20.0), ("c2", -20.0)))
    actor = track("b", straight(8.0, y=23.5), "sedan")
    recording = Recording(steps=140, tracks=(*tracks, actor), lights=((),) * 140, collisions=(), events=(brake(0, 139),))
    event = replace(recording.events[0], reach_m=10.0)
    config = CurationConfig(logs_per_town=1, log_s=10.0, stride_s=2.0, min_travel_m=30.0)
    chosen = choose_windows(replace(recording, events=(event,)), (), road(half=50.0), config, first_step=0)
    assert [(window.track.token, window.events) for window in chosen] == [("c1", (EventKind.HARD_BRAKE,))]


def test_wrong_curation_says_the_rule() -> None:
    with pytest.raises(InputError, match="logs longer than 4"):
        CurationConfig(log_s=3.0)
