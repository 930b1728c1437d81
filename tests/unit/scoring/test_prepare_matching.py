"""Routes from paths, and lane graphs from vector maps."""

import numpy as np
import pytest
import shapely
from road_graphs import graph, lane, street

from diffdrive.contracts import InputError
from diffdrive.scene import Area, AreaKind, Lane, VectorMap
from diffdrive.scoring.preparation.map_matching import matched_route
from diffdrive.scoring.preparation.vector_map_graph import baselines_of, lane_graph_of, polygons_of


def path(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, dtype=np.float64)


def test_a_path_becomes_the_blocks_it_runs_through() -> None:
    assert matched_route(street("abc"), path((1, 0.5), (59, -0.5))) == ["A", "B", "C"]


def test_a_short_path_is_extended_straight_ahead() -> None:
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "lsr"),
            lane("l", [(20, 0), (25, 5), (25, 20)]),
            lane("s", [(20, 0), (60, 0)], "t"),
            lane("r", [(20, 0), (25, -5), (25, -20)]),
            lane("t", [(60, 0), (80, 0)]),
        ]
    )
    assert matched_route(roads, path((1, 0), (15, 0))) == ["A", "S", "T"]


def test_the_extension_ends_at_250_metres() -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    assert matched_route(street(names), path((1, 0), (15, 0)))[-1] == "M"


def test_the_extension_does_not_run_in_circles() -> None:
    roads = graph([lane("a", [(0, 0), (20, 0)], "b"), lane("b", [(20, 0), (20, 20), (0, 20), (0, 0)], "a")])
    assert matched_route(roads, path((1, 0), (15, 0))) == ["A", "B"]


def test_a_turn_is_told_from_going_straight_by_what_follows() -> None:
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "sl"),
            lane("s", [(20, 0), (60, 0)]),
            lane("l", [(20, 0), (30, 2), (36, 8), (38, 20)], "m"),
            lane("m", [(38, 20), (38, 60)]),
        ]
    )
    assert matched_route(roads, path((1, 0), (20, 0), (30, 2), (36, 8), (38, 20), (38, 50))) == ["A", "L", "M"]
    assert matched_route(roads, path((1, 0), (50, 0))) == ["A", "S"]


def test_a_lane_change_stays_in_its_block() -> None:
    roads = graph(
        [
            lane("a1", [(0, 0), (60, 0)], ["b1"], block="A"),
            lane("a2", [(0, 4), (60, 4)], ["b2"], block="A"),
            lane("b1", [(60, 0), (90, 0)], block="B"),
            lane("b2", [(60, 4), (90, 4)], block="C"),
        ]
    )
    assert matched_route(roads, path((1, 0), (20, 0), (40, 4), (85, 4))) == ["A", "C"]


def test_an_oncoming_lane_is_not_matched() -> None:
    roads = graph([lane("a", [(0, 0), (60, 0)]), lane("o", [(60, 2), (0, 2)])])
    assert matched_route(roads, path((1, 1.5), (50, 1.5))) == ["A"]


def test_a_standing_ego_is_matched_by_its_heading() -> None:
    roads = graph([lane("a", [(0, 0), (60, 0)]), lane("b", [(30, -30), (30, 30)])])
    assert matched_route(roads, path((30, 0.5)), 0.0) == ["A"]
    assert matched_route(roads, path((30, 0.5), (30.1, 0.5)), np.pi / 2) == ["B"]


def test_bike_lanes_are_the_last_resort() -> None:
    bike = lane("b", [(0, 1.5), (60, 1.5)], is_bike_lane=True)
    assert matched_route(graph([lane("a", [(0, 0), (60, 0)]), bike]), path((1, 1.5), (50, 1.5))) == ["A"]
    assert matched_route(graph([bike]), path((1, 1.5), (50, 1.5))) == ["B"]


def test_a_path_that_leaves_the_map_ends_there() -> None:
    roads = graph([lane("a", [(0, 0), (40, 0)]), lane("b", [(100, 0), (140, 0)])])
    assert matched_route(roads, path((1, 0), (139, 0))) == ["A"]


def test_a_path_beside_every_lane_is_refused() -> None:
    with pytest.raises(InputError, match="No lane of the map lies within"):
        matched_route(street("abc"), path((0, 50), (60, 50)))


def drawn(lane_id: str, x: float, y: float = 0.0, length: float = 20.0, **more: object) -> Lane:
    at = np.array([x, x + length])
    return Lane(
        lane_id=lane_id,
        centerline=np.column_stack([at, np.full(2, y)]),
        left_boundary=np.column_stack([at, np.full(2, y + 2)]),
        right_boundary=np.column_stack([at, np.full(2, y - 2)]),
        **more,  # type: ignore[arg-type]
    )


def area(area_id: str, kind: AreaKind, *bounds: float) -> Area:
    return Area(area_id=area_id, kind=kind, outline=shapely.get_coordinates(shapely.box(*bounds))[:-1])


def test_lane_groups_become_blocks_and_those_of_intersections_connectors() -> None:
    found = lane_graph_of(
        VectorMap(
            lanes=(
                drawn("x", 20, lane_group_id="X", intersection_id="i", successor_ids=("outside",)),
                drawn("a1", 0, lane_group_id="A", successor_ids=("x",), speed_limit_mps=9.0),
                drawn("a2", 0, 4, lane_group_id="A"),
            ),
            areas=(area("i", AreaKind.INTERSECTION, 20, -5, 40, 5), area("A", AreaKind.LANE_GROUP, 0, -2, 20, 6)),
        )
    )
    assert list(found.blocks) == ["A", "X"]
    assert [block.is_connector for block in found.blocks.values()] == [False, True]
    assert found.blocks["A"].lane_ids == ("a1", "a2")
    assert found.blocks["A"].successor_ids == ("X",)
    assert found.blocks["X"].predecessor_ids == ("A",)
    assert found.lanes["x"].successor_ids == ()
    assert found.lanes["a1"].speed_limit_mps == 9.0
    assert list(found.intersections) == ["i"]


@pytest.mark.parametrize("limit", [None, 0.0, float("nan")])
def test_maps_write_no_limit_in_several_ways(limit: float | None) -> None:
    assert lane_graph_of(VectorMap(lanes=(drawn("a", 0, speed_limit_mps=limit),))).lanes["a"].speed_limit_mps is None


def test_what_counts_as_drivable_overlaps_its_neighbours() -> None:
    found = lane_graph_of(
        VectorMap(
            lanes=(drawn("a", 0, lane_group_id="A"), drawn("x", 20, lane_group_id="X", intersection_id="i")),
            areas=(
                area("i", AreaKind.INTERSECTION, 20, -5, 40, 5),
                area("A", AreaKind.LANE_GROUP, 0, -2, 20, 2),
                area("c", AreaKind.CARPARK, 0, 2, 20, 9),
                area("g", AreaKind.GENERIC_DRIVABLE, 0, -9, 20, -2),
                area("w", AreaKind.WALKWAY, 0, 9, 20, 12),
            ),
        )
    )
    road, intersection = found.blocks["A"].polygon, found.intersections["i"]
    assert road.intersection(intersection).area > 0
    assert all(road.intersection(other).area > 0 for other in found.carparks.values())
    assert len(found.carparks) == 2
    # Lanes and connectors are judged as they are drawn.
    assert found.lanes["a"].polygon.area == pytest.approx(80)
    assert found.blocks["X"].polygon.area == pytest.approx(80)


def test_a_connector_without_an_intersection_area_can_be_driven_on() -> None:
    found = lane_graph_of(VectorMap(lanes=(drawn("a", 0), drawn("x", 20, intersection_id="i"))))
    assert len(found.intersections) == 1
    assert next(iter(found.intersections.values())).contains(shapely.Point(30, 0))


def test_lanes_without_a_group_are_blocks_of_their_own() -> None:
    found = lane_graph_of(VectorMap(lanes=(drawn("a", 0, successor_ids=("b",)), drawn("b", 20))))
    assert [block.lane_ids for block in found.blocks.values()] == [("a",), ("b",)]


def test_a_group_without_an_area_is_outlined_by_its_lanes() -> None:
    lanes = (drawn("a1", 0, 0.0, lane_group_id="A"), drawn("a2", 0, 4.2, lane_group_id="A"))
    polygon = lane_graph_of(VectorMap(lanes=lanes)).blocks["A"].polygon
    assert polygon.geom_type == "Polygon"
    assert polygon.contains(shapely.Point(10, 2.1))


def test_bike_lanes_are_apart_from_their_group() -> None:
    lanes = (drawn("a", 0, lane_group_id="A"), drawn("b", 0, 4, lane_group_id="A", is_bike_lane=True))
    found = lane_graph_of(VectorMap(lanes=lanes))
    assert found.lanes["a"].block_id != found.lanes["b"].block_id
    assert found.lanes["b"].is_bike_lane


def test_lanes_without_length_are_left_out_and_a_map_of_none_is_refused() -> None:
    assert list(lane_graph_of(VectorMap(lanes=(drawn("a", 0), drawn("dot", 5, length=0.0)))).lanes) == ["a"]
    with pytest.raises(InputError, match="no lanes"):
        lane_graph_of(VectorMap())


def test_baselines_get_a_vertex_every_metre_and_keep_their_own() -> None:
    bent, point, straight = baselines_of(
        [path((0, 0), (2.5, 0), (2.5, 0), (2.5, 2)), path((7, 7), (7, 7)), path((0, 0), (-1, 0))]
    )
    assert np.hypot(*np.diff(bent[:, :2], axis=0).T).max() <= 1.0 + 1e-12
    assert (bent[:, :2] == [2.5, 0]).all(axis=1).sum() == 1
    np.testing.assert_allclose(bent[:, 2], [0, 0, 0, *[np.pi / 2] * 3])
    assert len(point) == 1
    np.testing.assert_allclose(straight, [[0, 0, np.pi], [-1, 0, np.pi]])


def test_polygons_that_cross_themselves_are_mended() -> None:
    mended = polygons_of([path((0, 0), (4, 4), (4, 0), (0, 3)), path((0, 0), (1, 0), (2, 0)), path((5, 5))])
    assert shapely.is_valid(mended).all()
    assert all(polygon.geom_type == "Polygon" and polygon.area > 0 for polygon in mended)
