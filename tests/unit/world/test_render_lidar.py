"""The sweep: returns lie on what is there, never on the ego, and repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_town import AGENTS, agents, crossroads, scene

from diffdrive.contracts import InputError
from diffdrive.geometry import points_in_box
from diffdrive.scene import AgentKind, Scene
from diffdrive.vehicle import PACIFICA
from diffdrive.world.conditions import NOON, Conditions, Light
from diffdrive.world.render import NUPLAN_LIDAR, LidarRig, Motion, Town, build_town, moving_mesh
from diffdrive.world.render.embree import TownRays
from diffdrive.world.render.lidar import Sweep, scan
from diffdrive.world.render.lidar_rig import lines

pytest.importorskip("embreex")


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town("toy-town", crossroads(), seed=1)


@pytest.fixture(scope="module")
def rays() -> TownRays:
    return TownRays()


RAIN = replace(NOON, light=Light.RAIN)
EXACT = replace(NUPLAN_LIDAR, noise_m=0.0, dropout=0.0)


def _scan(
    town: Town,
    rays: TownRays,
    what: Scene,
    rig: LidarRig = NUPLAN_LIDAR,
    *,
    seed: int = 0,
    motion: Motion | None = None,
    conditions: Conditions = NOON,
) -> Sweep:
    stage = rays.stage(town, moving_mesh(town, what))
    errors, pose = np.random.default_rng(seed), town.from_world(what.world_from_ego)
    return scan(stage, pose, errors, motion=motion, conditions=conditions, rig=rig)


@pytest.mark.parametrize("motion", [Motion(), Motion(forward=15.0, left=-0.2, yaw_rate=0.6)])
def test_returns_on_an_agent_lie_in_its_box_and_every_near_agent_has_some(town: Town, rays: TownRays, motion: Motion) -> None:
    what = scene()
    sweep = _scan(town, rays, what, motion=motion)
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
    exact = _scan(town, rays, what, rig=EXACT).sweep.points
    noisy = _scan(town, rays, what, rig=replace(EXACT, noise_m=0.015)).sweep.points
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


def test_each_ray_starts_where_its_sensor_was_at_its_time(town: Town) -> None:
    roof = replace(NUPLAN_LIDAR, spinners=NUPLAN_LIDAR.spinners[:1])
    origins, directions = lines(roof, Motion(forward=10.0))
    azimuths = np.arctan2(directions[:, 1], directions[:, 0])
    when = 0.1 * (azimuths / (2 * np.pi) - 0.5)
    np.testing.assert_allclose(origins[:, 0], 1.3 + 10.0 * when, atol=1e-4)
    assert origins[:, 0].min() < 0.31 and origins[:, 0].max() > 1.29
    standing, straight = lines(roof, Motion())
    assert np.ptp(standing, axis=0).max() == 0.0
    np.testing.assert_array_equal(directions, straight)


def test_a_turning_car_moves_on_a_circle() -> None:
    motion, times = Motion(forward=8.0, left=0.5, yaw_rate=0.7), np.linspace(-0.1, 0.0, 2001)
    positions, headings = motion.poses(times)
    np.testing.assert_allclose(headings, 0.7 * times)
    velocity = np.gradient(positions, times, axis=0)
    expected = np.stack([8.0 * np.cos(headings) - 0.5 * np.sin(headings), 8.0 * np.sin(headings) + 0.5 * np.cos(headings)], 1)
    np.testing.assert_allclose(velocity[1:-1], expected[1:-1], atol=1e-4)
    np.testing.assert_array_equal(positions[-1], [0.0, 0.0])


def test_motion_is_compensated(town: Town, rays: TownRays) -> None:
    wall = scene((("wall", AgentKind.GENERIC_OBJECT, 15.0, 0.0, 0.0, 0.5, 8.0, 3.0),))
    still, driven = (_scan(town, rays, wall, EXACT, motion=Motion(forward=v, yaw_rate=v / 20)) for v in (0.0, 15.0))
    faces = [sweep.sweep.points[(sweep.objects == 0) & (sweep.sweep.points[:, 2] < 2.5)][:, 0] for sweep in (still, driven)]
    assert min(len(face) for face in faces) > 300
    assert abs(np.median(faces[0]) - np.median(faces[1])) < 0.01, "the car has come 1.5 m closer during the sweep"
    assert not np.array_equal(still.steps, driven.steps)
    ground = driven.sweep.points[np.hypot(*driven.sweep.points[:, :2].T) < 8.0]
    assert abs(np.percentile(ground[:, 2], 20)) < 0.05


def test_rain_distance_and_grazing_angles_cost_returns(town: Town, rays: TownRays) -> None:
    what, sure = scene(), replace(EXACT, reach_m=1e4)
    cases = ((sure, NOON), (EXACT, NOON), (EXACT, RAIN))
    everything, dry, wet = (_scan(town, rays, what, rig, conditions=light).sweep.points for rig, light in cases)
    assert len(wet) < 0.98 * len(dry) < 0.98 * len(everything)

    def share(points: np.ndarray, low: float, high: float, on_ground: bool) -> float:
        """Of what is there at this distance, how much comes back."""

        def count(of: np.ndarray) -> int:
            distance = np.linalg.norm(of, axis=1)
            return int(((distance > low) & (distance < high) & ((of[:, 2] < 0.2) == on_ground)).sum())

        return count(points) / count(everything)

    assert share(dry, 5, 15, True) > 0.99
    assert share(dry, 60, 90, True) < 0.6 < share(dry, 30, 40, True)
    assert share(dry, 60, 90, False) > 0.8, "walls face the sensor, the far road does not"
    assert share(wet, 30, 40, True) < 0.95 * share(dry, 30, 40, True)


def test_steps_tell_what_the_points_tell(town: Town, rays: TownRays) -> None:
    sweep = _scan(town, rays, scene(), motion=Motion(forward=9.0))
    assert (sweep.steps > 0).sum() == len(sweep.sweep.points)
    assert sweep.steps.max() * NUPLAN_LIDAR.step_m <= NUPLAN_LIDAR.range_m
    with pytest.raises(InputError, match="fewer than 65536 steps"):
        replace(NUPLAN_LIDAR, step_m=0.001)
