"""Plans of towns."""

import re
import sys
from pathlib import Path

import networkx
import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.world.roads import TownConfig, build_network, lay_out
from diffdrive.world.roads.surfaces import offset_polyline, simplified

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_junction_has_two_streets_and_the_town_is_in_one_piece(seed: int) -> None:
    layout = lay_out(seed, TownConfig(gap_share=0.5))
    graph = networkx.Graph([(street.start, street.end) for street in layout.streets])
    assert set(graph) == set(layout.positions)
    assert min(degree for _, degree in graph.degree) >= 2
    assert networkx.is_connected(graph)


def test_same_seed_same_town_other_seed_other_town() -> None:
    first, again, other = (lay_out(seed, TownConfig()) for seed in (3, 3, 4))
    assert all(np.array_equal(a.points, b.points) for a, b in zip(first.streets, again.streets, strict=True))
    assert not np.array_equal(first.streets[0].points, other.streets[0].points)


def test_towns_differ_in_control_and_width() -> None:
    towns = [lay_out(seed, TownConfig()) for seed in SEEDS]
    assert {kind for town in towns for kind in town.controls.values()} == {"traffic_light", "allway_stop", "priority"}
    assert {street.lanes for town in towns for street in town.streets} == {1, 2, 3}
    assert any(street.has_parking for town in towns for street in town.streets)
    assert any(street.has_bike_lanes for town in towns for street in town.streets)


def test_gaps_are_left_where_asked_for() -> None:
    full = len(lay_out(1, TownConfig(gap_share=0.0)).streets)
    assert full == 2 * 4 * 3
    assert len(lay_out(1, TownConfig(gap_share=0.5)).streets) < full


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"nodes_per_side": 2}, "at least 3"),
        ({"spacing_min": 200.0}, "spacing_min <= spacing_max"),
        ({"parking_share": 1.5}, "between 0 and 1"),
        ({"arterials_per_axis": 4}, "below nodes_per_side"),
    ],
)
def test_wrong_configurations_say_the_rule(wrong: dict, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        TownConfig(**wrong)


def test_offset_keeps_its_distance_round_a_corner() -> None:
    corner = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    np.testing.assert_allclose(offset_polyline(corner, 1.0), [[0, 1], [9, 1], [9, 10]], atol=1e-12)
    np.testing.assert_allclose(offset_polyline(corner, np.array([-1.0, -1.0, -2.0])), [[0, -1], [11, -1], [12, 10]], atol=1e-12)


def test_simplified_drops_points_on_a_straight_line_only() -> None:
    line = np.array([[0.0, 0.0], [5.0, 0.005], [10.0, 0.0], [10.0, 5.0]])
    np.testing.assert_array_equal(simplified(line), line[[0, 2, 3]])


def test_without_sumo_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sumo", None)
    with pytest.raises(InputError, match=re.escape("pip install 'diffdrive[world]'")):
        build_network(lay_out(1, TownConfig()), tmp_path)
    assert not list(tmp_path.iterdir())
