"""The route's correction and the search behind it."""

import numpy as np
import pytest
from road_graphs import graph, lane, street

from diffdrive.contracts import InputError
from diffdrive.scoring.preparation.block_search import find_path
from diffdrive.scoring.preparation.lane_graph import LaneGraph, linked
from diffdrive.scoring.preparation.route import corrected_route, square, start_blocks

AT_START = np.array([5.0, 0.0, 0.0])


def search(links: dict[str, str], start: str, goals: str, max_depth: int = 30) -> str | None:
    path = find_path(start, goals, lambda block: links.get(block, ""), max_depth=max_depth)
    return None if path is None else "".join(path)


def test_search_takes_the_shortest_path() -> None:
    assert search({"A": "BC", "B": "D", "C": "E", "D": "E"}, "A", "E") == "ACE"


def test_of_two_shortest_paths_the_one_expanded_last_counts() -> None:
    assert search({"A": "BC", "B": "D", "C": "D"}, "A", "D") == "ACD"
    assert search({"A": "CB", "B": "D", "C": "D"}, "A", "D") == "ABD"


def test_repeats_in_a_level_count_where_they_come_last() -> None:
    # Level 2 is X Y X, because B leads to X and Y, and C to X: Y's child Z is then overwritten by the later X.
    assert search({"A": "BC", "B": "XY", "C": "X", "X": "Z", "Y": "Z"}, "A", "Z") == "ACXZ"


def test_goals_are_met_in_the_order_of_first_occurrence() -> None:
    assert search({"A": "BC", "B": "XY", "C": "X"}, "A", "YX") == "ACX"


def test_search_counts_both_ends_in_its_depth() -> None:
    links = {"A": "B", "B": "C", "C": "D"}
    assert search(links, "A", "D", max_depth=4) == "ABCD"
    assert search(links, "A", "D", max_depth=3) is None


def test_search_ends_where_the_road_ends_and_survives_circles() -> None:
    assert search({"A": "B"}, "A", "Z") is None
    assert search({"A": "B", "B": "A"}, "A", "Z") is None


def test_a_sound_route_stays() -> None:
    assert corrected_route(street("abc"), ["A", "B", "C"], AT_START) == ["A", "B", "C"]


def test_blocks_that_the_map_lacks_are_left_out() -> None:
    assert corrected_route(street("abc"), ["A", "nowhere", "B"], AT_START) == ["A", "B"]
    assert corrected_route(street("abc"), ["nowhere"], AT_START) == []


def test_missing_links_are_inserted() -> None:
    assert corrected_route(street("abcdef"), ["A", "E", "F"], AT_START) == ["A", "B", "C", "D", "E", "F"]


def test_a_gap_without_a_way_across_stays() -> None:
    roads = graph([lane("a", [(0, 0), (20, 0)]), lane("b", [(40, 0), (60, 0)])])
    assert corrected_route(roads, ["A", "B"], AT_START) == ["A", "B"]


def test_a_start_before_the_route_is_put_before_it() -> None:
    assert corrected_route(street("abcd"), ["C", "D"], AT_START) == ["A", "B", "C", "D"]


def test_a_start_that_joins_later_cuts_what_comes_before() -> None:
    # The ego is on x, which leads into the route's second block only.
    roads = graph(
        [
            lane("r", [(0, 10), (20, 10)], "s"),
            lane("s", [(20, 10), (40, 10)], "t"),
            lane("t", [(40, 10), (60, 10)]),
            lane("x", [(0, 0), (20, 0)], "y"),
            lane("y", [(20, 0), (20, 10)], "s"),
        ]
    )
    assert corrected_route(roads, ["R", "S", "T"], AT_START) == ["X", "Y", "S", "T"]


def test_a_start_without_any_way_leaves_the_route() -> None:
    roads = graph([lane("a", [(0, 0), (20, 0)]), lane("r", [(0, 10), (20, 10)], "s"), lane("s", [(20, 10), (40, 10)])])
    assert corrected_route(roads, ["R", "S"], AT_START) == ["R", "S"]


def test_a_loop_is_cut_at_the_connector_that_crosses_an_earlier_one() -> None:
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "p"),
            lane("p", [(20, 0), (40, 0)], "b"),
            lane("b", [(40, 0), (40, -20), (30, -20)], "q"),
            lane("q", [(30, -20), (30, 20)], "c"),
            lane("c", [(30, 20), (30, 40)]),
        ],
        connectors="PQ",
    )
    assert corrected_route(roads, ["A", "P", "B", "Q", "C"], AT_START) == ["A", "P", "B"]


@pytest.mark.parametrize(("shift", "expected"), [(3.85, "APBQ"), (3.7, "APB")])
def test_a_small_overlap_is_no_loop(shift: float, expected: str) -> None:
    # Two connectors side by side, 5 m long: 0.15 m of overlap are 0.75 m^2, 0.3 m are 1.5 m^2.
    roads = graph(
        [
            lane("a", [(0, 0), (20, 0)], "p"),
            lane("p", [(20, 0), (25, 0)], "b"),
            lane("b", [(25, 0), (45, 0)], "q"),
            lane("q", [(25, shift), (20, shift)]),
        ],
        connectors="PQ",
    )
    assert corrected_route(roads, list("APBQ"), AT_START) == list(expected)


def test_a_fitting_lane_of_the_route_beats_a_nearer_one_off_it() -> None:
    roads = graph([lane("a", [(0, 0.4), (20, 0.4)]), lane("r", [(0, 1.2), (20, 1.2)])])
    found = start_blocks(roads, ["R"], AT_START)
    assert found is not None
    assert (found.start, found.candidates) == ("R", ("R",))


def test_an_oncoming_lane_of_the_route_does_not_fit() -> None:
    roads = graph([lane("a", [(0, 1.0), (20, 1.0)]), lane("r", [(20, 0), (0, 0)])])
    found = start_blocks(roads, ["R"], AT_START)
    assert found is not None
    assert (found.start, found.candidates) == ("A", ("A",))


def test_where_nothing_fits_the_nearest_counts() -> None:
    roads = graph([lane("a", [(20, 1), (0, 1)]), lane("b", [(20, 0.5), (0, 0.5)])])
    found = start_blocks(roads, [], AT_START)
    assert found is not None
    assert (found.start, found.candidates) == ("B", ("A", "B"))


def test_far_from_every_block_the_nearest_of_each_kind_is_a_candidate() -> None:
    roads = graph([lane("a", [(0, 0), (20, 0)], "p"), lane("p", [(20, 0), (40, 0)])], connectors="P")
    found = start_blocks(roads, [], np.array([5.0, 50.0, 0.0]))
    assert found is not None
    assert set(found.candidates) == {"A", "P"}


def test_the_search_square_lies_along_the_given_direction() -> None:
    point = np.array([0.0, 0.0])
    assert square(point, 1.0).bounds == (-1.0, -1.0, 1.0, 1.0)
    np.testing.assert_allclose(square(point, 1.0, np.pi / 4).bounds, np.array([-1, -1, 1, 1]) * np.sqrt(2))


def test_links_are_cut_to_what_is_there() -> None:
    successors, predecessors = linked({"a": ["b", "b", "gone"], "b": []}, ["a", "b"])
    assert successors == {"a": ("b",), "b": ()}
    assert predecessors == {"a": [], "b": ["a"]}


def test_a_graph_refuses_dangling_links_and_a_wrong_order() -> None:
    with pytest.raises(InputError, match="not there"):
        graph([lane("a", [(0, 0), (1, 0)], "z")], block_links={"A": []})
    sound = graph([lane("a", [(0, 0), (20, 0)], "p"), lane("p", [(20, 0), (40, 0)])], connectors="P")
    with pytest.raises(InputError, match="roadblocks before connectors"):
        LaneGraph(lanes=sound.lanes, blocks=dict(reversed(sound.blocks.items())))
