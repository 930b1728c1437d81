"""A lane's ground may be drawn apart from its boundaries; it moves with the map, however the map is cut."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.scene import Lane, MapConvention, VectorMap
from diffdrive.sources.map_index import MapIndex

OUTLINE = np.array([[0.0, -3.0], [10.0, -3.0], [10.0, 3.0]])
POSE = np.array([4.0, 1.0, 0.5])


def lane(name: str, outline: np.ndarray | None) -> Lane:
    x = np.linspace(0.0, 10.0, 3)
    line = np.column_stack([x, np.zeros(3)])
    return Lane(lane_id=name, centerline=line, left_boundary=line + [0, 2], right_boundary=line - [0, 2], outline=outline)


def test_the_outline_is_the_polygon_where_there_is_one() -> None:
    assert np.array_equal(lane("drawn", OUTLINE).polygon, OUTLINE)
    assert len(lane("plain", None).polygon) == 6


def test_both_cuts_of_a_map_keep_outlines_and_convention() -> None:
    given = VectorMap(lanes=(lane("drawn", OUTLINE), lane("plain", None)), convention=MapConvention.NUPLAN)
    expected = given.near(POSE[:2], 50.0).to_local(POSE)
    found = MapIndex(given).around(POSE, 50.0)
    assert found.convention is expected.convention is MapConvention.NUPLAN
    for one, other in zip(found.lanes, expected.lanes, strict=True):
        np.testing.assert_allclose(one.polygon, other.polygon)
        np.testing.assert_allclose(one.centerline, other.centerline)
        assert (one.outline is None) == (other.outline is None)
    assert not np.allclose(found.lanes[0].polygon, OUTLINE)


def test_an_outline_must_be_finite_points() -> None:
    with pytest.raises(InputError, match="outline"):
        lane("broken", np.array([[0.0, np.nan]]))
