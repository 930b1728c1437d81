"""Tracks between frames, the ego's past, red lights."""

import numpy as np
import pytest
import shapely
from road_graphs import street

from diffdrive.scene import AgentKind, Agents, EgoState, LightState, TrafficLight
from diffdrive.scoring.preparation.history import initial_state, past_states
from diffdrive.scoring.preparation.red_lights import red_lights
from diffdrive.scoring.preparation.tracks import interpolated_tracks, without_initial_contact
from diffdrive.scoring.reference_planner.boxes import box_rings, ring_centroids

NOW_US = 1_600_000_000_000_000


def seen(
    *rows: tuple[str, float, float], kind: AgentKind = AgentKind.VEHICLE, speed: float = 3.0, length: float = 4.0
) -> Agents:
    """Boxes (token, x, heading) with y = 0."""
    return Agents(
        track_tokens=tuple(token for token, _, _ in rows),
        kinds=(kind,) * len(rows),
        boxes=np.array([[x, 0.0, heading, length, 2.0] for _, x, heading in rows]).reshape(-1, 5),
        vertical=np.ones((len(rows), 2)),
        velocities=np.tile([0.0, speed], (len(rows), 1)),
    )


NOTHING = Agents.none()


def centre_x(tracks: object, token: str) -> np.ndarray:
    return tracks.centroids[tracks.tokens.index(token), :, 0]  # type: ignore[attr-defined]


def test_positions_are_linear_between_frames() -> None:
    tracks = interpolated_tracks([seen(("a", 0, 0)), seen(("a", 5, 0)), seen(("a", 6, 0))])
    assert tracks.is_present.all()
    np.testing.assert_allclose(centre_x(tracks, "a"), [0, 1, 2, 3, 4, 5, 5.2, 5.4, 5.6, 5.8, 6])


def test_a_track_exists_from_its_first_to_its_last_sighting_across_gaps() -> None:
    tracks = interpolated_tracks([NOTHING, seen(("a", 0, 0)), NOTHING, seen(("a", 10, 0)), NOTHING])
    assert np.flatnonzero(tracks.is_present[0]).tolist() == list(range(5, 16))
    np.testing.assert_allclose(centre_x(tracks, "a")[5:16], np.arange(11))


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_a_single_sighting_is_frozen_for_good(frame: int) -> None:
    frames = [NOTHING] * 3
    frames[frame] = seen(("ghost", 7, 0))
    tracks = interpolated_tracks(frames)
    assert tracks.is_present.all()
    np.testing.assert_allclose(centre_x(tracks, "ghost"), 7.0)


def test_headings_take_the_short_way_round() -> None:
    tracks = interpolated_tracks([seen(("a", 0, 3.0)), seen(("a", 0, -3.0)), seen(("a", 0, 3.0))])
    front = tracks.corners[0, :, [0, 3]].mean(axis=0)
    # Half way it points to -x, not to +x.
    np.testing.assert_allclose(front[[2, 3], 0], -2.0, atol=0.02)
    np.testing.assert_allclose(front[10], front[0], atol=1e-12)


def test_size_kind_and_speed_are_those_of_the_first_sighting() -> None:
    tracks = interpolated_tracks(
        [NOTHING, seen(("a", 0, 0), speed=3.0, length=4.0), seen(("a", 1, 0), speed=9.0, length=8.0, kind=AgentKind.BARRIER)]
    )
    assert tracks.speeds.tolist() == [3.0]
    assert tracks.is_agent.tolist() == [True]
    np.testing.assert_allclose(np.ptp(tracks.corners[0, 5:, :, 0], axis=1), 4.0)


def test_what_cannot_move_has_no_speed() -> None:
    tracks = interpolated_tracks([seen(("cone", 0, 0), kind=AgentKind.TRAFFIC_CONE, speed=0.5)] * 2)
    assert tracks.speeds.tolist() == [0.0]
    assert not tracks.is_agent.any()


def test_no_frames_with_anything_make_no_tracks() -> None:
    tracks = interpolated_tracks([NOTHING] * 9)
    assert tracks.corners.shape == (0, 41, 4, 2)
    assert len(without_initial_contact(tracks, shapely.box(0, 0, 1, 1))) == 0


def test_what_touches_the_ego_at_first_is_gone_for_good() -> None:
    tracks = interpolated_tracks([seen(("touching", 3, 0), ("far", 30, 0)), seen(("touching", 50, 0), ("late", 0, 0))])
    kept = without_initial_contact(tracks, shapely.box(-1, -1, 1, 1))
    # "late" was seen once and stands in the ego at every step, t = 0 included.
    assert kept.tokens == ("far",)
    assert len(without_initial_contact(tracks, shapely.box(100, 100, 101, 101))) == 3


def test_a_box_not_yet_there_touches_nobody() -> None:
    tracks = interpolated_tracks([NOTHING, seen(("a", 0, 0)), seen(("a", 0, 0))])
    assert len(without_initial_contact(tracks, shapely.box(-1, -1, 1, 1))) == 1


@pytest.mark.parametrize("spread", [1.0, 100.0, 1e5])
def test_centroids_are_those_of_the_geometry_library_to_the_last_bit(spread: float) -> None:
    rng = np.random.default_rng(3)
    n = 3000
    boxes = np.column_stack(
        [rng.normal(0, spread, (n, 2)), rng.uniform(-4, 4, n), rng.uniform(0.2, 15, n), rng.uniform(0.2, 3, n)]
    )
    rings = box_rings(boxes)
    np.testing.assert_array_equal(ring_centroids(rings), shapely.get_coordinates(shapely.centroid(shapely.polygons(rings))))


def ego(offset_us: int, x: float, heading: float = 0.0) -> EgoState:
    return EgoState(
        timestamp_us=NOW_US + offset_us,
        pose=np.array([x, 0.0, heading]),
        velocity=np.array([x, 1.0]),
        acceleration=np.array([2.0, x]),
    )


@pytest.mark.parametrize(("first_us", "count"), [(-1_499_999, 14), (-1_500_000, 14), (-1_500_001, 15)])
def test_a_microsecond_decides_how_long_the_past_is(first_us: int, count: int) -> None:
    states = past_states([ego(first_us, -15), ego(-1_000_000, -10), ego(-500_000, -5), ego(0, 0)])
    assert len(states) == count
    np.testing.assert_allclose(states[:, 0], -15 + np.arange(count), atol=1e-4)
    np.testing.assert_allclose(states[:, 3], states[:, 0])
    np.testing.assert_allclose(states[:, 6], states[:, 0])
    assert not states[:, 7:].any()


def test_corrected_the_past_reaches_the_present_without_a_gap() -> None:
    states = past_states([ego(-1_500_000, -15), ego(-1_000_000, -10), ego(-500_000, -5), ego(0, 0)], corrected=True)
    np.testing.assert_allclose(states[:, 0], np.arange(-15, 0), atol=1e-9)


def test_a_finer_past_is_thinned_to_half_seconds() -> None:
    bent = [ego(-100_000 * k, -float(k * k)) for k in range(20, -1, -1)]
    coarse = [bent[i] for i in (5, 10, 15, 20)]
    np.testing.assert_array_equal(past_states(bent), past_states(coarse))


def test_past_headings_do_not_jump() -> None:
    states = past_states([ego(-1_000_000, -2, 3.1), ego(-500_000, -1, -3.1), ego(0, 0, -3.0)])
    assert np.abs(np.diff(states[:, 2])).max() < 0.05


def test_without_a_past_there_is_none() -> None:
    assert past_states([ego(0, 0)]).shape == (0, 11)
    assert past_states([ego(0, 0)], corrected=True).shape == (0, 11)


def test_the_initial_state_has_no_steering_and_no_yaw_rate() -> None:
    assert initial_state(ego(0, 4.0, 0.5)).tolist() == [4.0, 0.0, 0.5, 4.0, 1.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0]


def light(lane_id: str, state: LightState = LightState.RED) -> TrafficLight:
    return TrafficLight(lane_id=lane_id, state=state)


def test_a_light_holds_until_the_next_frame_and_the_last_for_good() -> None:
    frames = [[light("b")], [light("b", LightState.GREEN)], [light("b")]]
    lights = red_lights(street("abc", connectors="B"), ["A", "B"], frames, 21)
    assert np.flatnonzero(lights.is_red[0]).tolist() == [*range(5), *range(10, 21)]
    assert shapely.Polygon(lights.polygons.ring(0)).equals(street("abc").lanes["b"].polygon)


def test_only_red_lights_of_the_route_count() -> None:
    frames = [[light("b", LightState.YELLOW), light("a"), light("gone"), light("c", LightState.OFF)]]
    lights = red_lights(street("abc"), ["B", "C"], frames, 5)
    assert lights.is_red.shape == (0, 5)
