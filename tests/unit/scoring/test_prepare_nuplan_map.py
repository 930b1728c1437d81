"""Maps with nuPlan's own layers count exactly as they are drawn, and routes are the lane groups that a scene lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely

from diffdrive.contracts import InputError
from diffdrive.scene import (
    Agents,
    Area,
    AreaKind,
    DrivingCommand,
    EgoState,
    Lane,
    MapConvention,
    Observation,
    Scene,
    VectorMap,
)
from diffdrive.scoring.preparation.lane_graph import LaneGraph
from diffdrive.scoring.preparation.prepare import road_of
from diffdrive.scoring.preparation.vector_map_graph import lane_graph_of
from diffdrive.scoring.scoring_scene import AreaType


def drawn(name: str, start: float, *successors: str, group: str = "", y: float = 0.0, **values: Any) -> Lane:
    """20 m eastwards; its ground is 5 m wide, wider than between its boundaries."""
    line = np.array([[start, y], [start + 7.0, y], [start + 20.0, y]])
    return Lane(
        lane_id=name,
        centerline=line,
        left_boundary=line + [0, 2],
        right_boundary=line - [0, 2],
        successor_ids=successors,
        lane_group_id=group or f"g{name}",
        outline=box(start, y - 2.5, start + 20.0, y + 2.5),
        **values,
    )


def box(*sides: float) -> np.ndarray:
    return np.array(shapely.box(*sides).exterior.coords)[:-1]


def area(name: str, kind: AreaKind, *sides: float) -> Area:
    return Area(area_id=name, kind=kind, outline=box(*sides))


def group(name: str, start: float, low: float = -3.0, high: float = 3.0) -> Area:
    return area(name, AreaKind.LANE_GROUP, start, low, start + 20.0, high)


def nuplan(lanes: tuple[Lane, ...], areas: tuple[Area, ...]) -> VectorMap:
    return VectorMap(lanes=lanes, areas=areas, convention=MapConvention.NUPLAN)


def town() -> VectorMap:
    """a, the connectors x and z beside it (z without a known place), then b and c; "spare" has no lanes."""
    return nuplan(
        (
            drawn("a", -10.0, "z", "x"),
            drawn("b", 30.0),
            drawn("c", 30.0, y=6.0),
            drawn("z", 10.0, "c", intersection_id="", y=6.0),
            drawn("x", 10.0, "b", intersection_id="i"),
        ),
        (
            group("ga", -10.0),
            group("gb", 30.0),
            group("gc", 30.0, 3.0, 9.0),
            group("spare", 50.0),
            group("gx", 10.0),
            group("gz", 10.0, 3.0, 9.0),
            area("i", AreaKind.INTERSECTION, 10.0, -3.0, 30.0, 3.0),
            area("p", AreaKind.CARPARK, 0.0, 3.0, 5.0, 6.0),
            area("p", AreaKind.CARPARK, 0.0, 7.0, 5.0, 9.0),
            area("q", AreaKind.GENERIC_DRIVABLE, 0.0, -9.0, 5.0, -3.0),
        ),
    )


def shapes(graph: LaneGraph) -> list[tuple[str, tuple[float, ...]]]:
    return [(i, block.polygon.bounds) for i, block in graph.blocks.items()]


def test_road_blocks_come_first_and_keep_their_outline_and_order() -> None:
    graph = lane_graph_of(town())
    assert shapes(graph) == [
        ("ga", (-10.0, -3.0, 10.0, 3.0)),
        ("gb", (30.0, -3.0, 50.0, 3.0)),
        ("gc", (30.0, 3.0, 50.0, 9.0)),
        ("spare", (50.0, -3.0, 70.0, 3.0)),
        ("gx", (10.0, -3.0, 30.0, 3.0)),
        ("gz", (10.0, 3.0, 30.0, 9.0)),
    ]
    assert [i for i, block in graph.blocks.items() if block.is_connector] == ["gx", "gz"]
    assert graph.blocks["spare"].lane_ids == ()


def test_links_follow_the_order_of_the_layers_not_that_of_the_lanes() -> None:
    graph = lane_graph_of(town())
    assert graph.lanes["a"].successor_ids == ("z", "x")
    assert graph.blocks["ga"].successor_ids == ("gx", "gz")
    assert graph.blocks["gb"].predecessor_ids == ("gx",)


def test_nothing_grows_and_no_connector_becomes_drivable_by_itself() -> None:
    graph = lane_graph_of(town())
    assert [polygon.bounds for polygon in graph.intersections.values()] == [(10.0, -3.0, 30.0, 3.0)]
    assert [polygon.bounds for polygon in graph.carparks.values()] == [(0.0, 3.0, 5.0, 6.0), (0.0, 7.0, 5.0, 9.0)]
    assert graph.lanes["a"].polygon.bounds == (-10.0, -2.5, 10.0, 2.5)


def test_vertices_of_a_baseline_are_those_of_the_map() -> None:
    np.testing.assert_array_equal(
        lane_graph_of(town()).lanes["a"].baseline, [[-10.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [10.0, 0.0, 0.0]]
    )


def test_a_polygon_that_crosses_itself_stays_as_it_is() -> None:
    bow = Area(area_id="ga", kind=AreaKind.LANE_GROUP, outline=np.array([[-10.0, -3], [10, 3], [10, -3], [-10, 3]]))
    polygon = lane_graph_of(nuplan((drawn("a", -10.0),), (bow,))).blocks["ga"].polygon
    assert not polygon.is_valid
    np.testing.assert_array_equal(np.array(polygon.exterior.coords)[:-1], bow.outline)


def test_a_map_whose_lanes_belong_to_no_block_is_refused() -> None:
    with pytest.raises(InputError, match="no lanes in road blocks"):
        lane_graph_of(nuplan((drawn("a", 0.0),), ()))


def scene(route: tuple[str, ...]) -> Scene:
    ego = EgoState(timestamp_us=1, pose=np.zeros(3), velocity=np.array([5.0, 0.0]), acceleration=np.zeros(2))
    return Scene(
        token="here",
        log_name="log",
        location="town",
        world_from_ego=np.zeros(3),
        observation=Observation(ego_history=(ego,), command=DrivingCommand.STRAIGHT),
        agents=Agents.none(),
        vector_map=town(),
        route_group_ids=route,
    )


def test_the_listed_route_decides_where_the_centreline_leads() -> None:
    straight, aside = road_of(scene(("ga", "gx", "gb"))), road_of(scene(("ga", "gz", "gc")))
    assert straight.listed_route == ("ga", "gx", "gb")
    np.testing.assert_array_equal(straight.centerline[-1], [50.0, 0.0, 0.0])
    np.testing.assert_array_equal(aside.centerline[-1], [50.0, 6.0, 0.0])
    assert set(straight.drivable_map.types.tolist()) == {int(kind) for kind in AreaType}


def test_a_gap_in_the_listed_route_is_closed_and_the_listed_one_stays() -> None:
    road = road_of(scene(("ga", "gb")))
    assert (road.listed_route, road.route) == (("ga", "gb"), ("ga", "gx", "gb"))


def test_without_a_listed_route_the_path_decides() -> None:
    road = road_of(replace(scene(()), route=np.array([[0.0, 0.0], [50.0, 0.0]])))
    assert road.listed_route == ("ga", "gx", "gb")


def test_a_route_of_another_map_is_refused() -> None:
    with pytest.raises(InputError, match=r"None of the 2 lane groups.*'here'.*'12'"):
        road_of(scene(("12", "13")))
