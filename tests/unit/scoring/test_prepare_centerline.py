"""The start lane, the lanes to drive, their centreline, and the map around the ego."""

import numpy as np
import pytest
import shapely
from road_graphs import graph, lane, street

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scoring.preparation.centerline import centerline_of, lane_sequence, start_lane
from diffdrive.scoring.preparation.drivable_map import flat_polygons, surroundings
from diffdrive.scoring.preparation.lane_graph import GraphLane
from diffdrive.scoring.scoring_scene import AreaType
from diffdrive.vehicle import PACIFICA


def outline(pose: np.ndarray) -> shapely.Polygon:
    return shapely.Polygon(box_corners(PACIFICA.boxes(pose)))


def found_start(roads: object, route: list[str], pose: np.ndarray) -> str:
    around = surroundings(roads, pose[:2])  # type: ignore[arg-type]
    return start_lane(roads, route, around.lanes_around(pose[:2]), pose, outline(pose))  # type: ignore[arg-type]


def test_of_overlapping_lanes_the_one_with_the_smaller_heading_error_wins() -> None:
    roads = graph([lane("a", [(0, 0), (20, 4)]), lane("b", [(0, 0), (20, 1)])])
    assert found_start(roads, ["A", "B"], np.array([5.0, 0.5, 0.0])) == "b"
    assert found_start(roads, ["A", "B"], np.array([5.0, 0.5, 0.2])) == "a"


def test_lanes_off_the_route_do_not_count() -> None:
    roads = graph([lane("a", [(0, 0), (20, 4)]), lane("b", [(0, 0), (20, 1)])])
    assert found_start(roads, ["A"], np.array([5.0, 0.5, 0.0])) == "a"


def test_nearest_is_measured_with_the_heading() -> None:
    """By distance alone "a" wins (its nearest vertex is aligned); counting the heading as a length, "b" has an aligned one."""
    square = shapely.box(-5, -5, 5, 5)

    def with_baseline(name: str, rows: list[list[float]]) -> GraphLane:
        return GraphLane(lane_id=name, block_id=name.upper(), baseline=np.array(rows), polygon=square)

    a = with_baseline("a", [[0.5, 0.0, 0.1], [3.0, 0.0, 0.1]])
    b = with_baseline("b", [[0.1, 0.0, 1.5], [1.0, 0.0, 0.0]])
    roads = graph([a, b])
    assert found_start(roads, ["A", "B"], np.zeros(3)) == "b"


def test_without_a_lane_around_the_axle_the_one_around_the_centre_counts() -> None:
    roads = graph([lane("a", [(-50, 1), (-40, 1)]), lane("b", [(1, 0), (20, 0)])])
    assert found_start(roads, ["A", "B"], np.zeros(3)) == "b"


def test_else_the_lane_closest_to_the_outline() -> None:
    roads = graph([lane("a", [(0, 30), (20, 30)]), lane("b", [(0, 9), (20, 9)])])
    assert found_start(roads, ["A", "B"], np.zeros(3)) == "b"


def test_a_route_without_lanes_has_no_start() -> None:
    with pytest.raises(InputError, match="Give a map that covers the route"):
        found_start(street("ab"), [], np.zeros(3))


def test_the_shorter_way_is_taken() -> None:
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "bc"),
            lane("b", [(20, 0), (30, 20), (40, 0)], "d"),
            lane("c", [(20, 0), (40, 0)], "d"),
            lane("d", [(40, 0), (60, 0)]),
        ]
    )
    assert lane_sequence(roads, "ABCD", "a") == (["a", "c", "d"], True)
    assert lane_sequence(roads, "ABD", "a") == (["a", "b", "d"], True)


def test_without_a_way_to_the_goal_the_deepest_lane_is_the_end() -> None:
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "bc"),
            lane("b", [(20, 0), (90, 0)]),
            lane("c", [(20, 0), (30, 5)], "d"),
            lane("d", [(30, 5), (40, 5)]),
            lane("z", [(200, 0), (220, 0)]),
        ]
    )
    assert lane_sequence(roads, "ABCDZ", "a") == (["a", "c", "d"], False)


def test_of_lanes_equally_deep_the_cheapest_is_the_end() -> None:
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "bc"),
            lane("b", [(20, 0), (60, 0)]),
            lane("c", [(20, 0), (30, 5)]),
            lane("z", [(200, 0), (220, 0)]),
        ]
    )
    assert lane_sequence(roads, "ABCZ", "a") == (["a", "c"], False)


def test_the_goal_lies_within_thirty_blocks_of_the_start() -> None:
    names = "abcdefghijklmnopqrstuvwxyz0123456789"
    sequence, is_reached = lane_sequence(street(names), names.upper(), "c")
    assert is_reached
    assert "".join(sequence) == names[2:32]


def test_joints_appear_twice_in_the_centreline() -> None:
    roads = street("ab")
    line = centerline_of([roads.lanes["a"], roads.lanes["b"]])
    assert len(line) == 42
    np.testing.assert_array_equal(line[20], line[21])


def test_the_last_heading_of_a_lane_repeats() -> None:
    bent = lane("a", [(0, 0), (10, 0), (10, 10)])
    assert bent.baseline[9, 2] == 0.0
    np.testing.assert_allclose(bent.baseline[-2:, 2], np.pi / 2)


def test_the_map_is_cut_to_a_square_and_keeps_its_order() -> None:
    roads = graph(
        [
            lane("p", [(20, 0), (40, 0)], "b"),
            lane("a", [(0, 0), (20, 0)], "p"),
            lane("b", [(40, 0), (60, 0)]),
            lane("f", [(99, 99), (120, 99)]),
            lane("g", [(103, 0), (120, 0)]),
        ],
        connectors="P",
        intersections={"i": shapely.box(20, -5, 40, 5)},
        carparks={"c": shapely.box(0, 10, 20, 20), "far": shapely.box(200, 0, 210, 10)},
    )
    around = surroundings(roads, np.zeros(2))
    # The corner of the square is in, which a circle of 100 m would leave out.
    assert around.ids == ("A", "B", "F", "a", "b", "f", "p", "i", "c")
    kinds = [AreaType.ROADBLOCK] * 3 + [AreaType.LANE] * 3 + [AreaType.LANE_CONNECTOR, AreaType.INTERSECTION, AreaType.CARPARK]
    assert around.types.tolist() == kinds


def test_the_square_lies_along_the_axes_of_the_world() -> None:
    roads = graph([lane("a", [(0, 130), (2, 130)])])
    assert surroundings(roads, np.zeros(2)).ids == ()
    assert surroundings(roads, np.zeros(2), square_heading=np.pi / 4).ids == ("A", "a")


def test_only_lanes_are_on_the_route() -> None:
    roads = graph([lane("a", [(0, 0), (20, 0)]), lane("b", [(0, 9), (20, 9)])], intersections={"a": shapely.box(0, 0, 9, 9)})
    drivable = surroundings(roads, np.zeros(2)).with_route(["a"])
    on_route = {(i, bool(flag)) for i, flag in zip(drivable.types.tolist(), drivable.on_route, strict=True)}
    assert (AreaType.LANE, True) in on_route
    assert (AreaType.INTERSECTION, False) in on_route
    assert drivable.on_route.sum() == 1


def test_an_intersection_is_no_start_lane_whatever_it_is_called() -> None:
    roads = graph(
        [lane("a", [(0, 30), (20, 30)]), lane("b", [(0, 9), (20, 9)])], intersections={"a": shapely.box(-9, -9, 9, 9)}
    )
    assert found_start(roads, ["A", "B"], np.zeros(3)) == "b"


def test_flat_polygons_do_not_repeat_the_first_vertex() -> None:
    flat = flat_polygons(np.array([shapely.box(0, 0, 1, 1), shapely.Polygon([(0, 0), (1, 0), (0, 1)])]))
    assert np.diff(flat.offsets).tolist() == [4, 3]
    assert shapely.Polygon(flat.ring(0)).equals(shapely.box(0, 0, 1, 1))
    assert len(flat_polygons(np.empty(0, dtype=object))) == 0
