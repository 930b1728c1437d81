"""Planned routes."""

import numpy as np
import pytest
from straight_network import JUNCTION_M, STREET_M, WIDTH_M, network

from diffdrive.contracts import InputError
from diffdrive.world.roads import plan_route


def test_route_changes_lanes_where_only_one_of_them_goes_on() -> None:
    route = plan_route(network(), ["e0", "e1", "e2"], "00", beyond_m=0.0)
    assert route[0] == pytest.approx([0.0, 0.0])
    assert route[-1] == pytest.approx([3 * STREET_M + 2 * JUNCTION_M, WIDTH_M])
    assert np.hypot(*np.diff(route, axis=0).T).max() < 1.1, "no jump between lanes"
    assert np.abs(np.diff(route, axis=0)[:, 1]).max() < 0.2


def test_route_stays_in_its_lane_where_it_may() -> None:
    route = plan_route(network(), ["e0", "e1", "e2"], "01", beyond_m=0.0)
    np.testing.assert_allclose(route[:, 1], WIDTH_M)


def test_route_goes_on_past_the_last_street() -> None:
    short = plan_route(network(), ["e0"], "00", beyond_m=0.0)
    far = plan_route(network(), ["e0"], "00", beyond_m=60.0)
    assert short[-1, 0] == pytest.approx(STREET_M)
    assert far[-1, 0] >= STREET_M + 60.0


def test_streets_that_do_not_connect_are_refused() -> None:
    with pytest.raises(InputError, match="'e0' to 'e2'"):
        plan_route(network(), ["e0", "e2"], "00", beyond_m=0.0)
