"""Lanes and connectors take turns, whatever the old map did."""

from itertools import pairwise

import numpy as np
import pytest
from hand_made_town import area, lane, town

from diffdrive.contracts import InputError
from diffdrive.openscene.road_graph import RoadGraph, road_graph
from diffdrive.openscene.route import blocks_along
from diffdrive.scene import AreaKind, VectorMap


@pytest.fixture(scope="module")
def graph() -> RoadGraph:
    return road_graph(town())


def pairs(graph: RoadGraph) -> set[tuple[str, str, str | None]]:
    return {(c.from_lane, c.to_lane, c.intersection_id) for c in graph.connectors.values()}


def test_lanes_join_over_connectors_only(graph: RoadGraph) -> None:
    assert set(graph.lanes) == {"a", "a2", "b", "x stub", "c", "d"}
    assert pairs(graph) == {
        ("a", "b", None),  # put between two lanes
        ("a", "d", "bare"),
        ("b", "x stub", "i"),
        ("x stub", "c", "i"),
    }


def test_pieces_that_follow_each_other_join_up_and_keep_their_length(graph: RoadGraph) -> None:
    for connector in graph.connectors.values():
        start, end = graph.lanes[connector.from_lane], graph.lanes[connector.to_lane]
        np.testing.assert_allclose(connector.centerline[0], start.centerline[-1], atol=1e-9)
        if end.key != "d":  # d lies 3 m beside the end of s
            np.testing.assert_allclose(connector.centerline[-1], end.centerline[0], atol=1e-9)
    through = ["a", "a from a to b", "b", "x from b to x stub", "x stub", "y from x stub to c", "c"]
    pieces = {**graph.lanes, **graph.connectors}
    x = np.concatenate([pieces[key].centerline[:, 0] for key in through])
    assert (np.diff(x) >= 0).all()
    assert (x[0], x[-1]) == (0.0, 160.0)


def test_a_lane_gives_its_last_metres_and_keeps_its_ground(graph: RoadGraph) -> None:
    assert graph.lanes["a"].centerline[-1, 0] == pytest.approx(47.0)
    assert graph.lanes["a"].outline[:, 0].max() == 50.0
    assert graph.connectors["a from a to b"].outline[:, 0].min() == pytest.approx(47.0)
    # The other way on from a begins with the same metres.
    assert graph.connectors["s from a to d"].centerline[0, 0] == pytest.approx(47.0)


def test_short_lanes_keep_half_of_themselves() -> None:
    short = road_graph(VectorMap(lanes=(lane("a", 0, 0.5, successor_ids=("b",)), lane("b", 0.5, 9))))
    assert short.lanes["a"].centerline[-1, 0] == pytest.approx(0.25)


def test_every_lane_has_a_block_and_blocks_take_turns(graph: RoadGraph) -> None:
    for piece in (*graph.lanes.values(), *graph.connectors.values()):
        assert piece.block in graph.blocks
    for block in graph.blocks.values():
        if block.from_block is not None and block.to_block is not None:
            assert graph.blocks[block.from_block].from_block is None
            assert graph.blocks[block.to_block].from_block is None
    assert graph.lanes["a"].block == graph.lanes["a2"].block
    assert graph.lanes["d"].block == "gb bike"


def test_a_route_runs_through_what_was_put_in_between(graph: RoadGraph) -> None:
    route = blocks_along(graph, ["a", "b", "x", "y", "c"])
    assert route == ["ga", "ga from ga to gb", "gb", "gx from gb to gx stub", "gx stub", "gy from gx stub to gc", "gc"]
    for before, after in pairwise(route):
        first, second = graph.blocks[before], graph.blocks[after]
        assert first.to_block == after or second.from_block == before


def test_a_route_takes_the_branch_that_leads_on() -> None:
    lanes = (
        lane("a", 0, 10, successor_ids=("x",)),
        lane("x", 10, 20, successor_ids=("b", "c"), intersection_id="i"),
        lane("b", 20, 30),
        lane("c", 20, 30, 1),
    )
    fork = road_graph(VectorMap(lanes=lanes))
    assert blocks_along(fork, ["a", "x", "c"]) == ["ga", "gx from ga to gc", "gc"]
    assert blocks_along(fork, ["x", "c"]) == ["gx from ga to gc", "gc"]


def test_a_route_goes_on_after_a_jump_and_leaves_out_unknown_lanes(graph: RoadGraph) -> None:
    assert blocks_along(graph, ["a2", "nowhere", "c"]) == ["ga", "gc"]
    assert blocks_along(graph, ["nowhere"]) == []


def test_a_map_without_lanes_is_no_map() -> None:
    with pytest.raises(InputError, match="without lanes"):
        road_graph(VectorMap(areas=(area("i", AreaKind.INTERSECTION, (0, 0), (1, 1)),)))
