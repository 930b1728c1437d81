"""A map that is cut out around the ego keeps what the route needs, however far away."""

from __future__ import annotations

import numpy as np

from diffdrive.scene import Area, AreaKind, Lane, VectorMap
from diffdrive.sources.map_index import MapIndex

ORIGIN = np.zeros(3)


def lane(name: str, x: float, y: float, *successors: str) -> Lane:
    """20 m eastwards."""
    line = np.array([[x, y], [x + 20.0, y]])
    return Lane(
        lane_id=name,
        centerline=line,
        left_boundary=line + [0, 2],
        right_boundary=line - [0, 2],
        lane_group_id=f"g{name}",
        successor_ids=successors,
    )


def chain(y: float, names: str, then: str = "") -> list[Lane]:
    """Lanes one after another from x = 0 on."""
    following = [*names[1:], then]
    return [
        lane(name, 20.0 * i, y, *filter(None, [after])) for i, (name, after) in enumerate(zip(names, following, strict=True))
    ]


def index_of(lanes: list[Lane]) -> MapIndex:
    areas = [
        Area(area_id=str(lane.lane_group_id), kind=AreaKind.LANE_GROUP, outline=lane.polygon[[0, 1, 2, 3]]) for lane in lanes
    ]
    return MapIndex(VectorMap(lanes=tuple(lanes), areas=tuple(areas)))


def names(vector_map: VectorMap) -> str:
    assert {area.area_id for area in vector_map.areas} == {str(lane.lane_group_id) for lane in vector_map.lanes}
    return "".join(lane.lane_id for lane in vector_map.lanes)


def test_a_listed_route_is_kept_to_its_end_and_nothing_else_far_away() -> None:
    index = index_of([*chain(0.0, "abcdefgh"), *chain(500.0, "qr")])
    assert names(index.around(ORIGIN, 10.0)) == "a"
    assert names(index.around(ORIGIN, 10.0, route=("ga", "gb", "gc"))) == "abc"
    assert names(index.around(ORIGIN, 10.0, route=("ga", "unheard of", "gb"))) == "ab"


def test_a_gap_of_the_route_is_kept_with_all_that_may_close_it() -> None:
    lanes = [*chain(0.0, "abcde"), *chain(30.0, "xyz", "e")]
    lanes[0] = lane("a", 0.0, 0.0, "b", "x")
    assert names(index_of(lanes).around(ORIGIN, 5.0, route=("ga", "gd"))) == "abcd"
    # Both ways to e are four links long.
    assert names(index_of(lanes).around(ORIGIN, 5.0, route=("ga", "ge"))) == "abcdexyz"


def test_the_way_from_beside_the_route_into_it_is_kept() -> None:
    index = index_of([*chain(0.0, "abcd"), *chain(300.0, "mno", "d"), *chain(600.0, "uvw")])
    beside = np.array([2.0, 300.0, 0.0])
    assert names(index.around(beside, 5.0, route=("gd",))) == "dmno"
    # Where no group is near, what may be the nearest one counts.
    assert names(index.around(beside + [0.0, 140.0, 0.0], 5.0, route=("gd",))) == "dmno"
    assert names(index.around(beside + [0.0, 160.0, 0.0], 5.0, route=("gd",))) == "d"
