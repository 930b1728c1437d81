"""A scene's map, cut out around the ego with its listed route, gives the route that the whole map gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffdrive.assets import LOGS
from diffdrive.scene import Lane, MapConvention, Scene
from diffdrive.scoring.preparation.prepare import Road, road_of
from diffdrive.sources import Arrow123dSource
from diffdrive.sources.map_index import MapIndex

RADIUS_M = 105.0


@pytest.fixture(scope="module")
def town() -> tuple[Scene, MapIndex]:
    pytest.importorskip("py123d")
    source = Arrow123dSource(LOGS)
    token = source.tokens[0]
    vector_map = replace(source.world_map(token), convention=MapConvention.NUPLAN)
    return replace(source.load(token, sensors=False), route=None), MapIndex(vector_map)


def random_walk(lanes: dict[str, Lane], rng: np.random.Generator) -> list[Lane]:
    walk = [lanes[str(rng.choice(list(lanes)))]]
    for _ in range(int(rng.integers(4, 20))):
        following = [i for i in walk[-1].successor_ids if i in lanes]
        if not following:
            break
        walk.append(lanes[str(rng.choice(following))])
    return walk


def road(scene: Scene, index: MapIndex, pose: np.ndarray, route: tuple[str, ...], radius_m: float) -> Road:
    vector_map = index.around(pose, radius_m, route=route)
    return road_of(replace(scene, world_from_ego=pose, vector_map=vector_map, route_group_ids=route))


@pytest.mark.parametrize("place", ["on the route", "beside it", "far away"])
def test_cutting_the_map_changes_no_route(town: tuple[Scene, MapIndex], place: str) -> None:
    scene, index = town
    lanes = {lane.lane_id: lane for lane in index.vector_map.lanes if lane.lane_group_id is not None}
    rng = np.random.default_rng(len(place))
    corrected = kept = 0
    for _ in range(12):
        walk = random_walk(lanes, rng)
        listed = list(dict.fromkeys(str(lane.lane_group_id) for lane in walk))
        if len(listed) > 4:
            del listed[int(rng.integers(1, len(listed) - 1))]
        start = walk[int(rng.integers(len(walk)))] if place != "far away" else lanes[str(rng.choice(list(lanes)))]
        ahead = start.centerline[1] - start.centerline[0]
        shift = rng.normal(scale=8.0 if place == "beside it" else 0.5, size=2)
        pose = np.array([*(start.centerline[0] + shift), np.arctan2(ahead[1], ahead[0])])
        whole, cut = (road(scene, index, pose, tuple(listed), radius_m) for radius_m in (1e6, RADIUS_M))
        assert (whole.listed_route, whole.route) == (cut.listed_route, cut.route)
        np.testing.assert_allclose(cut.centerline, whole.centerline)
        np.testing.assert_array_equal(cut.drivable_map.on_route, whole.drivable_map.on_route)
        corrected += whole.route != whole.listed_route
        kept += len(cut.graph.lanes) < len(whole.graph.lanes)
    assert corrected > 3
    assert kept > 8
