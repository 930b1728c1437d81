"""A small town in which everything happens: one SUMO run, looked at from many sides."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind
from diffdrive.world.events import EventKind
from diffdrive.world.roads import RoadNetwork, TownConfig, build_network, lay_out, read_network
from diffdrive.world.traffic import Recording, Track, TrafficConfig, record
from diffdrive.world.traffic.events import EventConfig

pytest.importorskip("libsumo")
pytestmark = pytest.mark.slow

SEED = 8
OFTEN = EventConfig(
    jaywalkers_per_km=2.0,
    double_parked_per_km=2.0,
    work_zones_per_km=0.7,
    hard_brake_share=0.7,
    cut_in_share=1.0,
    stop_and_go_share=0.5,
)
BUSY = TrafficConfig(duration_s=90.0, warm_up_s=15.0, walkers_per_km=4.0, quiet_share=0.0, busy_share=1.0)


Town = tuple[Path, RoadNetwork, Recording]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    network_file = build_network(lay_out(SEED, TownConfig(nodes_per_side=3)), tmp_path_factory.mktemp("town"))
    network = read_network(network_file)
    return network_file, network, record(network, network_file, SEED, BUSY, OFTEN)


def _apart(first: Track, second: Track) -> float:
    """Least distance of two bodies, metres; 0 where they touch."""
    begin, end = max(first.first_step, second.first_step), min(first.last_step, second.last_step)
    if end < begin:
        return np.inf
    near = np.hypot(*(first.rows(begin, end) - second.rows(begin, end))[:, :2].T) < 12.0
    if not near.any():
        return np.inf
    shapes = [
        shapely.polygons(box_corners(np.column_stack([rows, np.tile(track.size[:2], (len(rows), 1))])))
        for track, rows in ((track, track.rows(begin, end)[near]) for track in (first, second))
    ]
    return float(shapely.distance(*shapes).min())


def test_everything_happens_once_at_least(town: Town) -> None:
    _, _, recording = town
    assert {event.kind for event in recording.events} == set(EventKind)
    tokens = {track.token for track in recording.tracks}
    for event in recording.events:
        assert set(event.tokens) <= tokens
        assert 0 <= event.first_step <= event.last_step < recording.steps


def test_nobody_touches_what_stands_in_the_way_or_who_walks_there(town: Town) -> None:
    _, _, recording = town
    actors = {t for e in recording.events if e.kind not in _BY_DRIVERS for t in e.tokens}
    drivers = [track for track in recording.tracks if track.lane_ids]
    for actor in (track for track in recording.tracks if track.token in actors):
        for driver in drivers:
            # Cyclists keep to the edge of the road and pass people on the kerb closely.
            is_close = driver.kind is AgentKind.BICYCLE and actor.kind is AgentKind.PEDESTRIAN
            assert _apart(actor, driver) > (0.1 if is_close else 0.5), (actor.token, driver.token)


_BY_DRIVERS = {EventKind.HARD_BRAKE, EventKind.CUT_IN, EventKind.STOP_AND_GO}


def test_leaders_brake_hard_and_those_behind_do_not_hit_them(town: Town) -> None:
    _, _, recording = town
    tracks = {track.token: track for track in recording.tracks}
    for event in (event for event in recording.events if event.kind is EventKind.HARD_BRAKE):
        leader = tracks[event.tokens[0]]
        rows = leader.rows(event.first_step, min(event.last_step, leader.last_step))
        speed = np.hypot(*np.gradient(rows[:, :2], 0.1, axis=0).T)
        assert speed[:5].max() > 4.0
        assert speed.min() < 3.0 or len(rows) < 25, "unless it was gone before"
        assert -np.gradient(speed, 0.1).min() < 6.5
        assert not any(
            token == leader.token and event.first_step <= step <= event.last_step for step, token in recording.collisions
        )


def test_who_drives_the_ego_never_has_to_brake_hard_on_a_street(town: Town) -> None:
    _, network, recording = town
    acting = {token for event in recording.events for token in event.tokens}
    streets = {lane for approach in network.approaches.values() for lane in approach.lane_ids}
    hardest = []
    for track in recording.ego_candidates:
        if track.token in acting or len(track.poses) < 50:
            continue
        speed = np.hypot(*np.gradient(track.poses[:, :2], 0.1, axis=0).T)
        inside = np.array([lane in streets for lane in track.lane_ids])
        # Three seconds around every change of lane are left out: there maps have joints.
        changes = np.flatnonzero(np.array(track.lane_ids[1:]) != np.array(track.lane_ids[:-1]))
        for k in changes.tolist():
            inside[max(0, k - 15) : k + 15] = False
        braking = -np.gradient(speed, 0.1)[inside]
        hardest.append(float(braking.max()) if len(braking) else 0.0)
    assert len(hardest) >= 5
    assert max(hardest) < 4.05, "the bound of comfort"


def test_obstacles_are_passed_through_the_other_lane(town: Town) -> None:
    _, _, recording = town
    tracks = {track.token: track for track in recording.tracks}
    site = next(event for event in recording.events if event.kind is EventKind.DOUBLE_PARKED)
    parked = tracks[site.tokens[0]].poses[0]
    left = np.array([-np.sin(parked[2]), np.cos(parked[2])])
    offsets = []
    for track in recording.tracks:
        if track.lane_ids:
            near = np.hypot(*(track.poses[:, :2] - parked[:2]).T) < 4.0
            same_way = np.cos(track.poses[:, 2] - parked[2]) > 0.9
            offsets += ((track.poses[near & same_way, :2] - parked[:2]) @ left).tolist()
    assert offsets and min(offsets) > 1.5


def test_same_seed_gives_the_same_events(town: Town) -> None:
    network_file, network, _ = town
    short = TrafficConfig(duration_s=20.0, warm_up_s=10.0, walkers_per_km=0.0)
    runs = [record(network, network_file, SEED, short, OFTEN) for _ in range(2)]
    assert [track.token for track in runs[0].tracks] == [track.token for track in runs[1].tracks]
    for one, other in zip(runs[0].tracks, runs[1].tracks, strict=True):
        np.testing.assert_array_equal(one.poses, other.poses)
    told = [[(event.kind, event.tokens, event.first_step) for event in run.events] for run in runs]
    assert told[0] == told[1]
