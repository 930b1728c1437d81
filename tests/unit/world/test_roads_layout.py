"""Plans of towns."""

import re
import sys
from pathlib import Path

import networkx
import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.world.roads import TownConfig, TownLayout, build_network, lay_out
from diffdrive.world.roads.street import SPEED_LIMITS, StreetKind, directions
from diffdrive.world.roads.surfaces import offset_polyline, simplified

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_street_can_be_reached_from_every_other_without_turning_round(seed: int) -> None:
    for config in (TownConfig(gap_share=0.5, one_way_share=0.6), TownConfig(nodes_per_side=3, one_way_share=1.0)):
        layout = lay_out(seed, config)
        ways = directions(layout.streets)
        graph = networkx.DiGraph(
            (first, then) for first in ways for then in ways if first[1] == then[0] and first[0] != then[1]
        )
        assert set(graph) == set(ways)
        assert networkx.is_strongly_connected(graph)
        assert {node for way in ways for node in way} == set(layout.positions)


def test_same_seed_same_town_other_seed_other_town() -> None:
    first, again, other = (lay_out(seed, TownConfig()) for seed in (3, 3, 4))
    assert all(np.array_equal(a.points, b.points) for a, b in zip(first.streets, again.streets, strict=True))
    assert first.controls == again.controls
    assert not np.array_equal(first.streets[0].points, other.streets[0].points)


def test_ten_towns_show_every_kind_of_street_and_junction() -> None:
    towns = [lay_out(seed, TownConfig()) for seed in range(10)]
    streets = [street for town in towns for street in town.streets]
    assert {kind for town in towns for kind in town.controls.values()} == {"traffic_light", "allway_stop", "priority"}
    assert {street.kind for street in streets} == set(StreetKind)
    assert {street.lanes for street in streets} == {1, 2, 3}
    assert {street.speed_limit for street in streets} == set(SPEED_LIMITS)
    minor = [street for street in streets if street.kind is StreetKind.MINOR]
    for trait in ("has_parking", "has_bike_lanes", "is_one_way"):
        assert 0 < sum(getattr(street, trait) for street in minor) < len(minor), trait
    degrees = {sum(n in (street.start, street.end) for street in town.streets) for town in towns for n in town.positions}
    assert {3, 4} <= degrees, "T and X junctions"
    assert all(town.roundabouts for town in towns)
    assert 5 <= sum(bool(town.links) for town in towns) < 10, "most have an expressway"


def test_arterials_are_visibly_curved_and_never_too_fast_for_their_bends() -> None:
    for seed in SEEDS:
        for street in lay_out(seed, TownConfig()).streets:
            steps = np.diff(street.points, axis=0)
            length = np.hypot(*steps.T)
            turn = np.abs(np.diff(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))))
            curvature = 2 * turn / (length[1:] + length[:-1])
            if street.speed_limit > min(SPEED_LIMITS):
                assert street.speed_limit**2 * curvature.max() < 2.1
    swings = [_swing(lay_out(seed, TownConfig())) for seed in SEEDS]
    assert np.median(swings) > 15.0


def _swing(layout: TownLayout) -> float:
    """How far the points of the town's arterials lie off the straight line between their ends, at most."""
    found = []
    for street in layout.streets:
        if street.kind is StreetKind.ARTERIAL:
            found.append(street.points)
    chains: list[np.ndarray] = []
    for points in found:
        match = next((k for k, chain in enumerate(chains) if np.allclose(chain[-1], points[0])), None)
        straight_on = match is not None and _turn(chains[match], points) < 0.5
        if straight_on:
            chains[match] = np.concatenate([chains[match], points])
        else:
            chains.append(points)
    offsets = []
    for chain in chains:
        along = chain[-1] - chain[0]
        normal = np.array([-along[1], along[0]]) / np.hypot(*along)
        offsets.append(np.ptp((chain - chain[0]) @ normal))
    return max(offsets)


def _turn(before: np.ndarray, after: np.ndarray) -> float:
    one, two = before[-1] - before[-2], after[1] - after[0]
    return float(np.arccos(np.clip(one @ two / (np.hypot(*one) * np.hypot(*two)), -1, 1)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_roundabout_is_a_counter_clockwise_ring_with_room_for_a_bus(seed: int) -> None:
    layout = lay_out(seed, TownConfig())
    streets = {(street.start, street.end): street for street in layout.streets}
    for ring in layout.roundabouts:
        places = np.array([layout.positions[node] for node in ring.nodes]) - ring.center
        assert np.hypot(*places.T) == pytest.approx(np.full(len(places), np.hypot(*places[0])))
        assert np.hypot(*places[0]) > 15.0
        turns = np.diff(np.arctan2(*np.concatenate([places, places[:1]]).T[::-1])) % (2 * np.pi)
        assert turns.sum() == pytest.approx(2 * np.pi)
        for a, b in zip(ring.nodes, (*ring.nodes[1:], ring.nodes[0]), strict=True):
            assert streets[a, b].kind is StreetKind.RING and streets[a, b].is_one_way
            assert layout.controls[a] == "priority"


def test_no_expressway_in_small_towns_or_where_none_is_wanted() -> None:
    small = TownConfig(nodes_per_side=3, spacing_min=80.0, spacing_max=95.0, expressway_share=1.0)
    for seed in SEEDS:
        for config in (small, TownConfig(expressway_share=0.0)):
            kinds = {street.kind for street in lay_out(seed, config).streets}
            assert not kinds & {StreetKind.EXPRESSWAY, StreetKind.RAMP}
        assert StreetKind.RAMP in {street.kind for street in lay_out(seed, TownConfig(expressway_share=1.0)).streets}


def test_shares_of_zero_leave_a_plain_two_way_grid() -> None:
    shares = ("gap_share", "roundabout_share", "one_way_share", "expressway_share", "bike_lane_share", "parking_share")
    layout = lay_out(1, TownConfig(**dict.fromkeys(shares, 0.0)))
    assert len(layout.streets) == 2 * 4 * 3
    assert not any(street.is_one_way or street.has_bike_lanes or street.has_parking for street in layout.streets)
    assert len(lay_out(1, TownConfig(gap_share=0.5, roundabout_share=0.0, expressway_share=0.0)).streets) < 2 * 4 * 3


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"nodes_per_side": 2}, "at least 3"),
        ({"spacing_min": 200.0}, "spacing_min <= spacing_max"),
        ({"parking_share": 1.5}, "between 0 and 1"),
        ({"one_way_share": -0.1}, "between 0 and 1"),
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
