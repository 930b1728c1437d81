"""PDM-Closed: what it expects of others, how it drives its proposals, which one it takes."""

from typing import Any

import numpy as np
import pytest
import shapely

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, Agents
from diffdrive.scoring.polygons import Polygons
from diffdrive.scoring.preparation.lane_graph import with_headings
from diffdrive.scoring.reference_planner import Situation, drive
from diffdrive.scoring.reference_planner.forecast import Forecast, forecast, stopping_polygons
from diffdrive.scoring.reference_planner.obstacles import Obstacles, leads
from diffdrive.scoring.reference_planner.paths import Path, parallel_paths
from diffdrive.scoring.reference_planner.proposals import proposals
from diffdrive.scoring.reference_planner.timing import at_simulation_times
from diffdrive.scoring.rules import Protocol
from diffdrive.scoring.scoring_scene import AreaType, DrivableMap
from diffdrive.vehicle import PACIFICA

EGO_BOX = shapely.Polygon(box_corners(PACIFICA.boxes(np.zeros(3))))
LINE = with_headings(np.column_stack([np.arange(-20.0, 201.0), np.zeros(221)]))
NO_STOPS = np.empty(0, dtype=object)


def objects(*rows: tuple[float, float, float], kind: AgentKind = AgentKind.VEHICLE, heading: float = 0.0) -> Agents:
    """Boxes of 4 m x 2 m, (x, y, vx)."""
    return Agents(
        track_tokens=tuple(f"{kind.value} {i}" for i in range(len(rows))),
        kinds=(kind,) * len(rows),
        boxes=np.array([[x, y, heading, 4.0, 2.0] for x, y, _ in rows]).reshape(-1, 5),
        vertical=np.ones((len(rows), 2)),
        velocities=np.array([[v, 0.0] for _, _, v in rows]).reshape(-1, 2),
    )


def expected(agents: Agents, num_steps: int = 41) -> Forecast:
    return forecast(agents, np.array([1.461, 0.0]), EGO_BOX, num_steps)


def arcs(
    agents: Agents, speed: float = 8.0, limit: float | None = 10.0, stops: np.ndarray = NO_STOPS, **options: Any
) -> np.ndarray:
    """[15, 41] x of the proposals, on a straight line."""
    return proposals(LINE, np.zeros(3), speed, limit, expected(agents), stops, **options)[..., 0]


def speeds(x: np.ndarray) -> np.ndarray:
    return np.diff(x, axis=-1) / 0.1


def test_the_forecast_moves_every_second_step() -> None:
    centre = expected(objects((20, 0, 5.0))).tracks.centroids[0, :, 0]
    np.testing.assert_allclose(centre[:6], [20, 20, 21, 21, 22, 22])


def test_who_drives_backwards_is_expected_to_go_on_backwards() -> None:
    found = expected(objects((20, 0, -5.0)))
    np.testing.assert_allclose(found.tracks.centroids[0, [0, 10], 0], [20, 15])
    assert found.headings.tolist() == [0.0]


def test_velocity_across_the_heading_is_taken_along_it() -> None:
    found = expected(objects((20, 0, 5.0), heading=np.pi / 3))
    moved = found.tracks.centroids[0, 10] - found.tracks.centroids[0, 0]
    np.testing.assert_allclose(moved, 5.0 * np.array([np.cos(np.pi / 3), np.sin(np.pi / 3)]))


def test_what_cannot_move_stays() -> None:
    found = expected(objects((20, 0, 5.0), kind=AgentKind.BARRIER))
    assert np.ptp(found.tracks.centroids[0], axis=0).max() == 0
    assert not found.tracks.is_agent.any()


@pytest.mark.parametrize(
    ("kind", "most"),
    [(AgentKind.VEHICLE, 50), (AgentKind.PEDESTRIAN, 25), (AgentKind.BICYCLE, 10), (AgentKind.TRAFFIC_CONE, 50)],
)
def test_only_the_nearest_are_heeded(kind: AgentKind, most: int) -> None:
    found = expected(objects(*[(90.0 - i, 0.0, 0.0) for i in range(60)], kind=kind))
    assert len(found.tracks) == most
    assert found.tracks.centroids[..., 0].max() == pytest.approx(30 + most)


def test_a_hundred_metres_from_the_centre_of_the_ego_is_too_far() -> None:
    assert len(expected(objects((101.4, 0, 0), (101.5, 0, 0))).tracks) == 1


def test_what_touches_the_ego_at_first_is_not_expected() -> None:
    assert len(expected(objects((6.0, 0, 0), (6.1, 0, 0)), 51).tracks) == 1


def test_there_may_be_nobody() -> None:
    assert expected(Agents.none(), 51).tracks.corners.shape == (0, 51, 4, 2)


def test_paths_run_in_the_middle_then_right_then_left() -> None:
    assert [path.poses[0, 1] for path in parallel_paths(LINE)] == pytest.approx([0.0, -1.0, 1.0])


def test_a_path_with_repeated_poses_can_be_followed() -> None:
    joined = Path.of(with_headings(np.array([[0.0, 0], [1, 0], [1, 0], [2, 0]])))
    np.testing.assert_allclose(joined.interpolate(np.array([0.0, 1.0, 1.5, 9.0]))[:, 0], [1e-5, 1.0, 1.5, 2.0])


def test_a_path_needs_length() -> None:
    with pytest.raises(InputError, match="two distinct poses"):
        Path.of(np.zeros((3, 3)))


def test_a_corridor_without_two_vertices_is_empty() -> None:
    path = Path.of(LINE)
    assert path.corridor(20.1, 20.9).is_empty
    assert path.corridor(20.0, 22.0).bounds == pytest.approx((-1.1485, -1.1485, 3.1485, 1.1485))


def test_proposals_begin_on_their_paths_at_the_speed_of_the_ego() -> None:
    made = proposals(LINE, np.array([3.0, 0.7, 0.1]), 8.0, 10.0, expected(Agents.none()), NO_STOPS)
    np.testing.assert_allclose(made[:, 0, 0], 3.0)
    np.testing.assert_allclose(made[:, 0, 1], np.repeat([0.0, -1.0, 1.0], 5), atol=1e-12)
    np.testing.assert_allclose(made[:, 1, 0], 3.8)


def test_the_first_step_brakes_and_corrected_does_not() -> None:
    np.testing.assert_allclose(speeds(arcs(Agents.none()))[:, 1], 7.7)
    assert speeds(arcs(Agents.none(), corrected=True))[4, 1] > 8.0


def test_on_a_free_road_each_proposal_goes_for_its_share_of_the_limit() -> None:
    final = speeds(arcs(Agents.none(), speed=4.0, corrected=True))[:5, -1]
    assert final[0] < 3.9 < final[1] < 4.1 < final[2] < final[3] < final[4]


def test_without_a_limit_fifteen_metres_a_second_count() -> None:
    np.testing.assert_array_equal(arcs(Agents.none(), limit=None), arcs(Agents.none(), limit=15.0))


def test_no_proposal_runs_into_a_standing_car() -> None:
    x, free = arcs(objects((40, 0, 0))), arcs(Agents.none())
    assert (x[:, -1] + 4.049 < 38).all()
    assert (x[2:5, -1] < free[2:5, -1] - 1).all()


def test_a_car_beside_the_corridor_does_not_lead() -> None:
    np.testing.assert_array_equal(arcs(objects((30, 5, 0))), arcs(Agents.none()))


def test_a_car_beside_one_path_leads_there_alone() -> None:
    x, free = arcs(objects((30, 2.8, 0))), arcs(Agents.none())
    np.testing.assert_array_equal(x[:10], free[:10])
    assert (x[14, -1] < free[14, -1] - 1).all()


def test_a_red_connector_stops_all_but_who_is_wholly_inside() -> None:
    red = Polygons.of([np.array([[30.0, -4], [60, -4], [60, 4], [30, 4]]), np.array([[-9.0, -4], [9, -4], [9, 4], [-9, 4]])])
    stops = stopping_polygons(red, EGO_BOX)
    assert len(stops) == 1
    x = arcs(Agents.none(), stops=stops, corrected=True)
    assert (x[:, -1] + 4.049 < 30).all()
    # Leaving a connector, with the front outside: still a stop.
    assert len(stopping_polygons(Polygons.of([np.array([[-9.0, -4], [3, -4], [3, 4], [-9, 4]])]), EGO_BOX)) == 1


def test_the_leader_of_one_proposal_leaks_into_the_next_of_its_path() -> None:
    """On path 0 a car leads the first proposal, a red connector the second, nobody the third; on path 1 there is nobody."""
    obstacles = Obstacles(
        step=np.array([4, 4]),
        path=np.array([0, 0]),
        arc=np.array([12.0, 35.0]),
        polygons=np.array([shapely.box(10, -1, 14, 1), shapely.box(30, -3, 40, 3)]),
        headings=np.array([np.pi / 3, 0.0]),
        speeds=np.array([6.0, 0.0]),
        is_stop=np.array([False, True]),
    )
    arc, rear = np.array([2.0, 13.0, 50.0, 13.0]), PACIFICA.length / 2
    poses = np.column_stack([arc, np.zeros((4, 2))])

    def found(leaks: bool, step: int = 4) -> np.ndarray:
        return leads(obstacles, step, np.array([0, 0, 0, 1]), poses, arc, np.full(4, 99.0), leaks=leaks)

    np.testing.assert_allclose(found(True), [[10 - 4.049, 3, 0], [30 - 4.049, 3, 0], [99, 3, rear], [99, 0, rear]])
    np.testing.assert_allclose(found(False), [[10 - 4.049, 3, 0], [30 - 4.049, 0, 0], [99, 0, rear], [99, 0, rear]])
    # Step 5 sees what step 4 saw; at step 6 nobody is there.
    np.testing.assert_array_equal(found(True, 5), found(True))
    np.testing.assert_allclose(found(True, 6), np.tile([99, 0, rear], (4, 1)))


def test_a_missing_leader_leaks_its_length_to_the_next() -> None:
    obstacles = Obstacles(
        step=np.array([4]),
        path=np.array([0]),
        arc=np.array([30.0]),
        polygons=np.array([shapely.box(28, -1, 32, 1)]),
        headings=np.zeros(1),
        speeds=np.array([6.0]),
        is_stop=np.array([False]),
    )
    arc = np.array([50.0, 2.0])
    poses = np.column_stack([arc, np.zeros((2, 2))])
    rear = PACIFICA.length / 2
    leaking, clean = (
        leads(obstacles, 4, np.array([0, 0]), poses, arc, np.full(2, 99.0), leaks=leaks) for leaks in (True, False)
    )
    np.testing.assert_allclose(leaking, [[99, 0, rear], [28 - 4.049, 6, rear]])
    np.testing.assert_allclose(clean, [[99, 0, rear], [28 - 4.049, 6, 0]])


def test_times_of_simulation_may_fall_a_microsecond_short() -> None:
    proposal = np.column_stack([np.arange(41) * 1.0, np.zeros((41, 2))])
    errors = [
        at_simulation_times(us, proposal)[:, 0] - np.arange(41) for us in range(1_600_000_000_000_000, 1_600_000_000_000_020)
    ]
    assert np.abs(errors).max() <= 1.1e-5
    assert np.abs(errors).max() > 5e-6
    np.testing.assert_array_equal(at_simulation_times(0, proposal)[[0, -1], 0], [0, 40])


def situation(agents: Agents, **changes: Any) -> Situation:
    road = np.array([[-20.0, -4], [200, -4], [200, 4], [-20, 4]])
    ego = np.zeros(11)
    ego[3] = 8.0
    fields: dict[str, Any] = {
        "timestamp_us": 1_600_000_000_000_000,
        "ego_state": ego,
        "agents": agents,
        "drivable_map": DrivableMap(
            polygons=Polygons.of([road, road]),
            types=np.array([AreaType.ROADBLOCK, AreaType.LANE]),
            on_route=np.array([False, True]),
        ),
        "centerline": LINE,
        "speed_limit_mps": 10.0,
        "red": Polygons.of([]),
    }
    return Situation(**{**fields, **changes})


@pytest.mark.parametrize("protocol", list(Protocol))
def test_on_a_free_road_the_fastest_in_the_middle_is_driven(protocol: Protocol) -> None:
    plan = drive(situation(Agents.none()), protocol)
    assert plan.choice == 4
    assert plan.scores.shape == (15,)
    np.testing.assert_allclose(plan.reference, plan.proposals[4], atol=2e-5)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_of_equal_proposals_the_first_is_driven(protocol: Protocol) -> None:
    standing = np.zeros(11)
    plan = drive(situation(objects((6.2, 0, 0)), ego_state=standing), protocol)
    assert plan.choice == 0
    assert (plan.scores == plan.scores[0]).sum() > 1
    assert plan.reference[-1, 0] < 1.0


def test_a_path_that_leaves_the_road_is_not_driven() -> None:
    narrow = np.array([[-20.0, -4], [200, -4], [200, 1.3], [-20, 1.3]])
    drivable = DrivableMap(
        polygons=Polygons.of([narrow, narrow]),
        types=np.array([AreaType.ROADBLOCK, AreaType.LANE]),
        on_route=np.array([False, True]),
    )
    scores = drive(situation(Agents.none(), drivable_map=drivable), Protocol.V2).scores
    assert (scores[10:] == 0).all()
    assert (scores[:10] > 0.5).all()
