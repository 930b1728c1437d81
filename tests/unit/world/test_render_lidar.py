"""The sweep: returns lie on what is there, never on the ego, and repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_town import AGENTS, agents, crossroads, scene

from diffdrive.geometry import points_in_box
from diffdrive.scene import AgentKind, Scene
from diffdrive.vehicle import PACIFICA
from diffdrive.world.render import NUPLAN_LIDAR, LidarRig, Town, build_town, moving_mesh
from diffdrive.world.render.embree import TownRays
from diffdrive.world.render.lidar import Sweep, scan

pytest.importorskip("embreex")


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town("toy-town", crossroads(), seed=1)


@pytest.fixture(scope="module")
def rays() -> TownRays:
    return TownRays()


def _scan(town: Town, rays: TownRays, what: Scene, rig: LidarRig = NUPLAN_LIDAR, seed: int = 0) -> Sweep:
    stage = rays.stage(town, moving_mesh(town, what))
    return scan(stage, town.from_world(what.world_from_ego), np.random.default_rng(seed), rig=rig)


def test_returns_on_an_agent_lie_in_its_box_and_every_near_agent_has_some(town: Town, rays: TownRays) -> None:
    what = scene()
    sweep = _scan(town, rays, what)
    points = sweep.sweep.points
    for row, box in enumerate(what.agents.boxes):
        on_it = points[sweep.objects == row]
        assert len(on_it) >= 5, what.agents.track_tokens[row]
        centre_z, height = what.agents.vertical[row]
        assert points_in_box(on_it[:, :2], box, margin=0.1).all()
        assert on_it[:, 2].min() > centre_z - height / 2 - 0.1
        assert on_it[:, 2].max() < centre_z + height / 2 + 0.25


def test_hundreds_of_random_boxes_hold_their_returns(town: Town, rays: TownRays) -> None:
    rng = np.random.default_rng(5)
    kinds = list(AgentKind)
    rows = []
    for k in range(120):
        kind = kinds[k % len(kinds)]
        size = rng.uniform([0.3, 0.3, 0.5], [12, 2.6, 3.5] if kind is AgentKind.VEHICLE else [2, 1, 2])
        ring = 5.0 + 0.4 * k
        angle = rng.uniform(0, 2 * np.pi)
        rows.append((f"t{k}", kind, ring * np.cos(angle), ring * np.sin(angle), rng.uniform(-3, 3), *size))
    what = scene(tuple(rows))
    sweep = _scan(town, rays, what)
    assert len(np.unique(sweep.objects)) > 45
    for row in range(len(rows)):
        on_it = sweep.sweep.points[sweep.objects == row]
        assert points_in_box(on_it[:, :2], what.agents.boxes[row], margin=0.1).all()


def test_ground_is_at_zero_and_points_stay_in_range(town: Town, rays: TownRays) -> None:
    points = _scan(town, rays, scene(())).sweep.points
    assert 50_000 < len(points) < 100_000
    assert np.linalg.norm(points, axis=1).max() < NUPLAN_LIDAR.range_m + 5.0
    on_road = (np.abs(points[:, 1]) < 1.5) & (points[:, 0] > 5) & (points[:, 0] < 25) & (points[:, 2] < 1.0)
    assert on_road.sum() > 100
    assert abs(np.median(points[on_road, 2])) < 0.02


def test_the_ego_is_not_in_its_own_sweep(town: Town, rays: TownRays) -> None:
    what = scene()
    points = _scan(town, rays, what).sweep.points
    inside = points_in_box(points[:, :2], PACIFICA.boxes(np.zeros(3))) & (points[:, 2] < PACIFICA.height)
    assert not inside.any()


def test_a_body_hides_what_is_behind_it(town: Town, rays: TownRays) -> None:
    wall = (("wall", AgentKind.GENERIC_OBJECT, 8.0, 0.0, 0.0, 0.5, 3.0, 3.0),)
    behind = (("hidden", AgentKind.PEDESTRIAN, 12.0, 0.0, 0.0, 0.6, 0.6, 1.7),)
    assert (_scan(town, rays, scene(behind)).objects == 0).sum() > 20
    assert (_scan(town, rays, scene(behind + wall)).objects == 0).sum() == 0


def test_one_seed_one_sweep_and_noise_is_small(town: Town, rays: TownRays) -> None:
    what = scene()
    first, again, other = (_scan(town, rays, what, seed=seed).sweep.points for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    still = replace(NUPLAN_LIDAR, noise_m=0.0, dropout=0.0)
    exact = _scan(town, rays, what, rig=still).sweep.points
    noisy = _scan(town, rays, what, rig=replace(still, noise_m=0.015)).sweep.points
    moved = np.linalg.norm(exact - noisy, axis=1) if len(exact) == len(noisy) else None
    assert moved is not None
    assert 0.008 < moved.mean() < 0.02
    assert moved.max() < 0.061


def test_an_agent_more_leaves_other_points_alone(town: Town, rays: TownRays) -> None:
    with_all, without = _scan(town, rays, scene()), _scan(town, rays, scene(AGENTS[1:]))
    background = {tuple(p) for p in with_all.sweep.points[with_all.objects == -1].tolist()}
    assert len(background - {tuple(p) for p in without.sweep.points.tolist()}) == 0


def test_far_world_coordinates_do_not_blur_the_sweep(town: Town, rays: TownRays) -> None:
    assert np.abs(town.origin).max() > 1e6
    assert np.abs(town.mesh.triangles).max() < 2000
    assert len(agents()) == len(AGENTS)
