"""Trajectories in the cameras: on the right pixel, and never from behind."""

import numpy as np
import pytest
from hand_made_scene import make_camera, make_map, make_proposals, make_scene

pytest.importorskip("matplotlib")

from diffdrive.contracts import InputError
from diffdrive.scene import Agents, CameraFrame, CameraId, Trajectory
from diffdrive.viz import PlanOverlay, draw_cameras, draw_scene, pixels_of_path
from diffdrive.viz.camera import pixels_of_polygon


def looking_ahead() -> CameraFrame:
    """1.5 m above the rear axle, level, focal length 100 pixels, principal point (160, 90)."""
    ego_from_camera = np.eye(4)
    ego_from_camera[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    ego_from_camera[2, 3] = 1.5
    intrinsics = np.array([[100.0, 0, 160], [0, 100, 90], [0, 0, 1]])
    return CameraFrame(image=np.zeros((180, 320, 3), np.uint8), intrinsics=intrinsics, ego_from_camera=ego_from_camera)


def strokes(figure, label, gid):
    """Every polyline in pixels that was painted under this name into this camera."""
    axes = next(axes for axes in figure.axes if axes.get_label() == label)
    return [path.vertices for c in axes.collections if c.get_gid() == gid for path in c.get_paths()]


def test_ground_points_land_on_the_computed_pixels():
    # 10 m ahead and 2 m to the left: column 160 - 100 * 2 / 10, row 90 + 100 * 1.5 / 10.
    (run,) = pixels_of_path(looking_ahead(), np.array([[10.0, 2.0], [20.0, -4.0]]))
    np.testing.assert_allclose(run, [[140.0, 105.0], [180.0, 97.5]], atol=1e-9)


def test_points_above_the_ground_use_their_height():
    (run,) = pixels_of_path(looking_ahead(), np.array([[10.0, 0.0, 1.5], [10.0, 0.0, 3.0]]))
    np.testing.assert_allclose(run, [[160.0, 90.0], [160.0, 75.0]], atol=1e-9)


def test_a_path_that_starts_behind_is_cut_at_the_near_plane():
    (run,) = pixels_of_path(looking_ahead(), np.array([[-4.0, 0.0], [6.0, 1.0]]), near_m=1.0)
    # The segment reaches depth 1 m half way, where y = 0.5.
    np.testing.assert_allclose(run, [[160.0 - 50.0, 90.0 + 150.0], [160.0 - 100 / 6, 90.0 + 25.0]], atol=1e-9)


def test_a_path_behind_the_camera_is_not_drawn():
    assert pixels_of_path(looking_ahead(), np.array([[-1.0, 0.0], [-20.0, 3.0], [-30.0, 8.0]])) == []


def test_a_path_that_leaves_and_returns_gives_two_runs():
    path = np.array([[5.0, 0.0], [8.0, 1.0], [-5.0, 2.0], [-6.0, 3.0], [7.0, 4.0]])
    runs = pixels_of_path(looking_ahead(), path)
    assert [len(run) for run in runs] == [3, 2]


def test_a_polygon_across_the_near_plane_keeps_its_front_part():
    pixels = pixels_of_polygon(looking_ahead(), np.array([[-3.0, -1.0], [5.0, -1.0], [5.0, 1.0], [-3.0, 1.0]]))
    assert len(pixels) == 4
    np.testing.assert_allclose(sorted(pixels[:, 1]), [90 + 30, 90 + 30, 90 + 150, 90 + 150], atol=1e-9)
    assert len(pixels_of_polygon(looking_ahead(), np.array([[-3.0, -1.0], [-2.0, -1.0], [-2.0, 1.0]]))) == 0


def test_a_reversing_plan_is_absent_from_the_front_image():
    scene = make_scene()
    back = Trajectory(np.stack([-np.arange(1, 9), np.zeros(8), np.zeros(8)], axis=1))
    figure = draw_cameras(scene, PlanOverlay(chosen=back, baselines={"back": back}, human=back), cameras=[CameraId.F0])
    axes = figure.axes[0]
    assert not axes.patches
    assert strokes(figure, "f0", "back") == strokes(figure, "f0", "driven") == []


def test_the_chosen_swath_covers_the_road_in_front_of_the_car():
    scene = make_scene()
    ahead = Trajectory(np.stack([np.arange(1, 9) * 4.0, np.zeros(8), np.zeros(8)], axis=1))
    figure = draw_cameras(scene, ahead, cameras=[CameraId.F0])
    (carpet,) = (patch for patch in figure.axes[0].patches if patch.get_gid() == "chosen")
    frame = scene.observation.cameras[CameraId.F0]
    path = carpet.get_path()
    for y, inside in ((0.0, True), (1.1, True), (-1.1, True), (1.3, False), (-1.3, False)):
        (run,) = pixels_of_path(frame, np.array([[9.9, y], [10.1, y]]))
        assert path.contains_point(run.mean(axis=0)) is inside, y


def test_agent_boxes_surround_their_footprints():
    scene = make_scene()
    bare = draw_cameras(scene, cameras=[CameraId.F0])
    boxed = draw_cameras(scene, cameras=[CameraId.F0], agent_boxes=True)
    assert strokes(bare, "f0", "agent") == []
    pixels = np.concatenate(strokes(boxed, "f0", "agent"))
    centre = scene.agents.boxes[5, :2]  # the bicycle, right of the lane
    (run,) = pixels_of_path(scene.observation.cameras[CameraId.F0], np.array([centre, centre + 0.01]))
    near = pixels[np.abs(pixels[:, 0] - run[0, 0]) < 60]
    assert near[:, 1].min() < run[0, 1] < near[:, 1].max()


def test_every_proposal_is_in_the_front_image():
    proposals, scores = make_proposals()
    figure = draw_scene(make_scene(), PlanOverlay(proposals=proposals, scores=scores))
    assert len(strokes(figure, "f0", "proposal")) == len(proposals)


def test_a_camera_that_the_scene_lacks_is_an_error_that_names_those_it_has():
    scene = make_scene()
    with pytest.raises(InputError, match=r"no image of camera b0 \(it has: l0, f0, r0\)"):
        draw_scene(scene, cameras=[CameraId.F0, CameraId.B0])
    with pytest.raises(InputError, match=r"l0, f0, r0 \(it has: none\)"):
        draw_cameras(make_scene(sensors=False))


def test_a_scene_without_images_is_drawn_from_above_alone():
    labels = [axes.get_label() for axes in draw_scene(make_scene(sensors=False)).axes]
    assert labels == ["bev", "speed"]
    labels = [axes.get_label() for axes in draw_scene(make_scene()).axes]
    assert labels[:4] == ["l0", "f0", "r0", "bev"]


def test_images_keep_their_shape_and_order():
    figure = draw_scene(make_scene())
    cameras = {axes.get_label(): axes.get_window_extent() for axes in figure.axes[:3]}
    assert cameras["l0"].x1 < cameras["f0"].x0 < cameras["f0"].x1 < cameras["r0"].x0
    for box in cameras.values():
        assert box.width / box.height == pytest.approx(320 / 180, rel=1e-6)


def test_the_hand_made_camera_agrees_with_the_projection():
    # The image is ray-cast, the picture is projected: two independent ways to the same pixel.
    frame = make_camera(0.0, make_map(), Agents.none(), width=640, height=360)
    zebra = [[15.0, y] for y in (0.3, 0.9, 1.5)]  # white, grey and white bar of the crossing
    pixels = np.concatenate([pixels_of_path(frame, np.array([p, [16.0, p[1]]]))[0][:1] for p in zebra])
    column, row = np.floor(pixels).astype(int).T
    np.testing.assert_array_equal(frame.image[row, column, 0], [235, 104, 235])
