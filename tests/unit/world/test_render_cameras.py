"""The cameras: pixels are where the calibration says, and show the agent that the label says."""

from __future__ import annotations

import numpy as np
import pytest
from render_town import AGENTS, crossroads, scene

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners, invert_transform, project_points, transform_points
from diffdrive.scene import CameraId, Scene
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_RIG, Camera, EmbreeRenderer, Town, build_town, moving_mesh, rig_at

pytest.importorskip("embreex")
FRONT = NUPLAN_FRONT_RIG[1]


@pytest.fixture(scope="module")
def town() -> Town:
    return build_town("toy-town", crossroads(), seed=1)


def _ids(town: Town, what: Scene, camera: Camera) -> np.ndarray:
    return EmbreeRenderer().objects(town, moving_mesh(town, what), town.from_world(what.world_from_ego), camera)


def _projected(what: Scene, row: int, camera: Camera) -> np.ndarray:
    """[8, 2] pixels of the corners of an agent's box."""
    flat = box_corners(what.agents.boxes[row])
    z, height = what.agents.vertical[row]
    corners = np.concatenate([np.c_[flat, np.full(4, z + sign * height / 2)] for sign in (-1, 1)])
    pixels, depth = project_points(transform_points(invert_transform(camera.ego_from_camera), corners), camera.intrinsics)
    assert (depth > 0).all()
    return pixels


@pytest.mark.parametrize("row", range(len(AGENTS)))
def test_a_projected_box_covers_its_pixels(town: Town, row: int) -> None:
    what = scene((AGENTS[row],))
    rows, columns = np.nonzero(_ids(town, what, FRONT) == 0)
    low, high = _projected(what, 0, FRONT).min(axis=0), _projected(what, 0, FRONT).max(axis=0)
    assert len(rows) > 20
    assert columns.min() + 0.5 >= low[0]
    assert columns.max() + 0.5 <= high[0]
    assert rows.min() + 0.5 >= low[1]
    assert rows.max() + 0.5 <= high[1]


@pytest.mark.parametrize("row", [0, 1, 4, 6, 9])
def test_a_body_fills_its_box_in_the_image(town: Town, row: int) -> None:
    what = scene((AGENTS[row],))
    rows, columns = np.nonzero(_ids(town, what, FRONT) == 0)
    low = np.clip(_projected(what, 0, FRONT).min(axis=0), 0, [FRONT.width, FRONT.height])
    high = np.clip(_projected(what, 0, FRONT).max(axis=0), 0, [FRONT.width, FRONT.height])
    assert np.ptp(columns) > 0.5 * (high[0] - low[0])
    assert np.ptp(rows) > 0.7 * (high[1] - low[1])


def test_left_is_left_and_right_is_right(town: Town) -> None:
    left_agent, right_agent = AGENTS[5], AGENTS[4]
    what = scene((left_agent, right_agent))
    seen = {camera.camera_id: set(np.unique(_ids(town, what, camera))) for camera in NUPLAN_FRONT_RIG}
    near_left = scene((("l", left_agent[1], 3.5, 6.0, 0.0, 1.8, 0.7, 1.8),))
    assert 0 in np.unique(_ids(town, near_left, NUPLAN_FRONT_RIG[0]))
    assert 0 not in np.unique(_ids(town, near_left, NUPLAN_FRONT_RIG[2]))
    assert {0, 1} <= seen[CameraId.F0]


def test_near_hides_far(town: Town) -> None:
    near, far = ("near", AGENTS[0][1], 9.0, 0.0, 0.0, 2.0, 2.5, 3.0), ("far", AGENTS[4][1], 14.0, 0.0, 0.0, 0.6, 0.6, 1.7)
    assert 0 in _ids(town, scene((far,)), FRONT)
    assert 0 not in _ids(town, scene((far, near)), FRONT)


def test_lens_and_rays_agree() -> None:
    for camera in NUPLAN_FRONT_RIG:
        pixels, _ = project_points(camera.pixel_rays(), camera.intrinsics)
        column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
        assert np.allclose(pixels, np.stack([column.ravel(), row.ravel()], axis=1))
        clip = np.c_[camera.pixel_rays() * 7.0, np.ones(camera.width * camera.height)] @ camera.clip_from_camera(0.2, 900.0).T
        device = clip[:, :3] / clip[:, 3:]
        assert np.allclose((device[:, 0] + 1) / 2 * camera.width, column.ravel())
        assert np.allclose((1 - device[:, 1]) / 2 * camera.height, row.ravel())
        assert (np.abs(device[:, 2]) < 1).all()


def test_the_rig_is_a_quarter_of_nuplans() -> None:
    assert [camera.camera_id for camera in NUPLAN_FRONT_RIG] == [CameraId.L0, CameraId.F0, CameraId.R0]
    for camera, yaw in zip(NUPLAN_FRONT_RIG, (55.0, 0.0, -55.0), strict=True):
        assert (camera.width, camera.height) == (480, 270)
        assert np.isclose(camera.intrinsics[0, 0] * 4, 1545.0)
        forward = camera.ego_from_camera[:3, 2]
        assert np.allclose(forward, [np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw)), 0.0])
        assert np.allclose(camera.ego_from_camera[:3, 1], [0, 0, -1])
        assert np.isclose(np.linalg.det(camera.ego_from_camera[:3, :3]), 1.0)


def test_eight_cameras_see_all_around() -> None:
    assert {camera.camera_id for camera in NUPLAN_RIG} == set(CameraId)
    yaws = np.linspace(-np.pi, np.pi, 721)
    rays = np.stack([np.cos(yaws), np.sin(yaws), np.zeros_like(yaws)], axis=1)
    seen = np.zeros(len(yaws), dtype=bool)
    for camera in NUPLAN_RIG:
        pixels, depth = project_points(rays @ camera.ego_from_camera[:3, :3], camera.intrinsics)
        seen |= (depth > 0) & (pixels[:, 0] >= 0) & (pixels[:, 0] <= camera.width)
    assert seen.all()


def test_a_scaled_rig_sees_the_same_at_another_size() -> None:
    for small, large in zip(NUPLAN_RIG, rig_at(1), strict=True):
        assert (large.width, large.height, large.focal, large.centre) == (1920, 1080, 1545.0, (960.0, 560.0))
        assert np.allclose(large.intrinsics[:2], small.intrinsics[:2] * 4)
        assert np.array_equal(large.ego_from_camera, small.ego_from_camera)
    assert rig_at(1 / 4) == NUPLAN_RIG
    with pytest.raises(InputError, match=r"whole pixels, got 0\.37"):
        rig_at(0.37)


def test_a_camera_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="positive size"):
        Camera(camera_id=CameraId.F0, width=0, height=2, focal=1.0, centre=(0, 0), position=(0, 0, 1), yaw=0.0)
