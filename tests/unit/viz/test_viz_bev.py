"""The view from above: forward up, everything there, nothing global touched."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hand_made_scene import SPEED_MPS, make_proposals, make_scene

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex

from diffdrive.contracts import InputError
from diffdrive.geometry import box_corners
from diffdrive.scene import AgentKind, LightState, Trajectory
from diffdrive.viz import BevView, PlanOverlay, draw_bev, draw_scene, palette
from diffdrive.viz.bev import swath_edges
from diffdrive.viz.compose import mean_speeds
from diffdrive.viz.map_layer import forward_up, stop_bar
from diffdrive.viz.overlay import smooth_path


def artists(figure, gid):
    axes = next(axes for axes in figure.axes if axes.get_label() == "bev")
    return [artist for artist in axes.get_children() if artist.get_gid() == gid]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def overlay(**changes):
    proposals, scores = make_proposals()
    values = {"chosen": Trajectory(proposals[scores.argmax()]), "proposals": proposals, "scores": scores}
    return PlanOverlay(**(values | changes))


def test_forward_is_up_and_left_is_left():
    np.testing.assert_array_equal(forward_up(np.array([[10.0, 3.0]])), [[-3.0, 10.0]])
    axes = draw_bev(make_scene(), view=BevView(ahead_m=40, behind_m=10, side_m=25)).axes[0]
    assert axes.get_xlim() == (-25, 25)
    assert axes.get_ylim() == (-10, 40)


def test_every_proposal_is_drawn_with_the_best_on_top_and_darkest():
    plan = overlay()
    (lines,) = artists(draw_bev(make_scene(), plan), "proposals")
    paths = lines.get_segments()
    assert len(paths) == len(plan.proposals)
    ends = np.array([path[-1] for path in paths])
    np.testing.assert_allclose(ends, forward_up(plan.proposals[np.argsort(plan.scores), -1, :2]), atol=1e-9)
    brightness = lines.get_colors()[:, :3].sum(axis=1)
    assert brightness[-1] == brightness.min() < brightness.max() == brightness[0]


def test_agents_lie_where_their_boxes_are_in_the_colour_of_their_kind():
    scene = make_scene()
    (boxes,) = artists(draw_bev(scene, view=BevView(ahead_m=80, behind_m=20, side_m=60)), "agents")
    corners = np.array([path.vertices[:4] for path in boxes.get_paths()])
    np.testing.assert_allclose(corners, forward_up(box_corners(scene.agents.boxes)))
    colours = [to_hex(colour) for colour in boxes.get_facecolors()]
    assert colours == [palette.AGENTS[kind][1] for kind in scene.agents.kinds]
    assert len(set(colours)) == 4


def test_cones_are_marked_because_their_boxes_are_too_small_to_see():
    scene = make_scene()
    (marks,) = artists(draw_bev(scene), "cones")
    np.testing.assert_allclose(marks.get_xydata(), forward_up(scene.agents.of_kind(AgentKind.TRAFFIC_CONE).boxes[:, :2]))
    assert len(marks.get_xydata()) == 1


def test_the_route_and_what_stands_above_the_ground_are_drawn():
    scene = make_scene()
    view = BevView(ahead_m=50, behind_m=40, side_m=45)
    (route,) = artists(draw_bev(scene, view=view), "route")
    np.testing.assert_allclose(route.get_xydata(), forward_up(scene.route))
    (dots,) = artists(draw_bev(scene, view=view), "lidar")
    points = scene.observation.lidar.points
    standing = points[(points[:, 2] > 0.2) & (points[:, 2] < 4.0) & view.holds(points[:, :2])]
    assert 500 < len(standing) < len(points)
    np.testing.assert_allclose(dots.get_xydata(), forward_up(standing[:, :2]))
    bare = draw_bev(replace(scene, route=None, observation=make_scene(sensors=False).observation))
    assert artists(bare, "route") == artists(bare, "lidar") == []


def test_signals_are_told_apart_by_marker_as_well_as_by_colour():
    axes = draw_bev(make_scene()).axes[0]
    markers = {line.get_marker(): line.get_color() for line in axes.lines if line.get_marker() in ("s", "o", "^")}
    assert markers["s"] == palette.LIGHTS[LightState.RED][0]
    looks = [look for state, look in palette.LIGHTS.items() if state not in (LightState.OFF, LightState.UNKNOWN)]
    assert len({marker for _, marker in looks}) == len(looks)


def test_the_scene_s_own_future_is_drawn_as_the_human_unless_one_is_given():
    scene = make_scene()
    (human,) = artists(draw_bev(scene), "driven")
    np.testing.assert_allclose(human.get_xydata()[-1], forward_up(scene.future.ego.poses[-1, :2]))
    other = Trajectory(np.stack([np.arange(1, 9), np.zeros(8), np.zeros(8)], axis=1))
    (human,) = artists(draw_bev(scene, PlanOverlay(human=other)), "driven")
    np.testing.assert_allclose(human.get_xydata()[-1], [0, 8])


def test_the_legend_names_what_is_there_and_nothing_else():
    full = legend_labels(draw_scene(make_scene(), overlay(baselines={"constant velocity": make_scene().future.ego})))
    assert full[:4] == ["chosen", "constant velocity", "driven", "20 proposals"]
    assert {"route", "vehicle", "pedestrian", "bicycle", "cone, barrier, sign", "signal: green", "signal: red"} < set(full)
    bare = legend_labels(draw_scene(make_scene(sensors=False)))
    assert "LiDAR, 0.2 to 4 m high" in full
    assert not {"chosen", "20 proposals", "LiDAR, 0.2 to 4 m high"} & set(bare)
    close = BevView(ahead_m=9.0, behind_m=9.0, side_m=5.0)  # only the bicycle is that near
    assert not {"vehicle", "pedestrian", "signal: green"} & set(legend_labels(draw_scene(make_scene(), view=close)))


def test_a_plan_without_scores_or_with_equal_ones_has_one_shade():
    proposals, scores = make_proposals()
    assert set(PlanOverlay(proposals=proposals).shades) == {0.5}
    assert set(PlanOverlay(proposals=proposals, scores=np.ones_like(scores)).shades) == {0.5}
    shades = PlanOverlay(proposals=proposals, scores=scores * 100 - 7).shades
    assert shades.min() == 0.0
    assert shades.max() == 1.0
    assert "scores" not in {axes.get_label() for axes in draw_scene(make_scene(), PlanOverlay(proposals=proposals)).axes}


def test_a_fallback_plan_without_proposals_can_be_drawn():
    plan = PlanOverlay(chosen=make_scene().future.ego, proposals=np.zeros((0, 8, 3)), scores=np.zeros(0))
    assert "0 proposals" not in legend_labels(draw_scene(make_scene(), plan))


def test_bad_overlays_are_refused():
    proposals, scores = make_proposals()
    with pytest.raises(InputError, match="scores shade the proposals"):
        PlanOverlay(scores=scores)
    with pytest.raises(InputError, match=r"scores must have axes \[M\] with M = 20"):
        PlanOverlay(proposals=proposals, scores=scores[:3])
    with pytest.raises(InputError, match="finite"):
        PlanOverlay(proposals=np.full_like(proposals, np.nan))
    with pytest.raises(InputError, match="must show some ground"):
        BevView(side_m=0.0)


def test_the_view_holds_the_whole_plan():
    plan = overlay()
    view = BevView.around(plan, aspect=1.5)
    assert view.holds(plan.proposals[..., :2].reshape(-1, 2)).all()
    assert view.aspect == pytest.approx(1.5)
    assert BevView.around(PlanOverlay(), aspect=1.0).ahead_m >= 36.0
    wide = Trajectory(np.stack([np.ones(8), np.linspace(5, 50, 8), np.full(8, np.pi / 2)], axis=1))
    assert BevView.around(PlanOverlay(chosen=wide), aspect=1.0).side_m >= 50.0


def test_smooth_paths_pass_through_the_poses_along_their_headings():
    turn = make_scene().future.ego.poses
    path = smooth_path(turn, steps_per_pose=10)
    np.testing.assert_allclose(path[::10][1:], turn, atol=1e-9)
    np.testing.assert_allclose(path[0], 0.0)
    # Dense steps follow the heading, where straight chords would be off by half the turn between two poses.
    steps = np.diff(path[:, :2], axis=0)
    direction = np.arctan2(steps[:, 1], steps[:, 0])
    assert np.abs(direction - (path[1:, 2] + path[:-1, 2]) / 2).max() < 0.01


def test_headings_that_do_not_fit_the_motion_are_not_followed():
    sliding = np.stack([np.arange(1, 9) * 2.0, np.zeros(8), np.tile([0.6, -0.6], 4)], axis=1)
    np.testing.assert_allclose(smooth_path(sliding)[:, 1], 0.0, atol=1e-12)


def test_a_standing_car_gives_a_path_that_stands():
    assert np.abs(smooth_path(np.zeros((8, 3)))).max() == 0.0


def test_the_swath_is_as_wide_as_the_vehicle():
    from diffdrive.vehicle import PACIFICA

    left, right = swath_edges(np.array([[0.0, 0, 0], [5, 5, np.pi / 2]]), PACIFICA)
    np.testing.assert_allclose(left - right, [[0, PACIFICA.width], [-PACIFICA.width, 0]], atol=1e-12)


def test_a_car_waits_at_the_end_of_the_lane_before_the_connector():
    lanes = {lane.lane_id: lane for lane in make_scene().vector_map.lanes}
    connector = replace(lanes["right1"], predecessor_ids=("elsewhere", "right0"))
    end = [lanes["right0"].left_boundary[-1], lanes["right0"].right_boundary[-1]]
    np.testing.assert_array_equal(stop_bar(connector, lanes), end)
    start = [lanes["right1"].left_boundary[0], lanes["right1"].right_boundary[0]]
    np.testing.assert_array_equal(stop_bar(lanes["right1"], lanes), start)


def test_speeds_are_those_between_the_poses():
    poses = np.stack([np.arange(1, 9) * 0.5 * SPEED_MPS, np.zeros(8), np.zeros(8)], axis=1)
    times, speeds = mean_speeds(Trajectory(poses))
    np.testing.assert_allclose(times, np.arange(8) * 0.5 + 0.25)
    np.testing.assert_allclose(speeds, SPEED_MPS)


def test_no_global_matplotlib_state_changes():
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_scene(make_scene(), overlay())
    assert dict(matplotlib.rcParams) == before
    script = "import sys, diffdrive.viz as v; v.PlanOverlay(); sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
