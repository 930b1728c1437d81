"""What training compares with: the driven future, the nearest vehicles, the semantic map."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdrive.contracts import InputError
from diffdrive.features.targets import BevClass, build_agents, build_bev_semantic, build_targets, driven_trajectory
from diffdrive.geometry import to_local, to_world
from diffdrive.scene import (
    AgentKind,
    Agents,
    Area,
    AreaKind,
    EgoState,
    Future,
    Lane,
    Observation,
    Scene,
    Trajectory,
    VectorMap,
)
from diffdrive.tensors import TargetLayout, collate

LAYOUT = TargetLayout()


def agents_at(rows: list[tuple[float, float, float, float, float]], kind: AgentKind = AgentKind.VEHICLE) -> Agents:
    count = len(rows)
    return Agents(
        track_tokens=tuple(f"{kind.value}{k}" for k in range(count)),
        kinds=(kind,) * count,
        boxes=np.array(rows, float).reshape(count, 5),
        vertical=np.tile([0.8, 1.6], (count, 1)),
        velocities=np.zeros((count, 2)),
    )


def lane(lane_id: str, y: float, x: tuple[float, float] = (-50.0, 50.0), **changes) -> Lane:
    def line(offset: float) -> np.ndarray:
        return np.array([[x[0], y + offset], [x[1], y + offset]])

    return Lane(lane_id=lane_id, centerline=line(0), left_boundary=line(1.75), right_boundary=line(-1.75), **changes)


def future(num_poses: int = 8, interval_s: float = 0.5) -> Future:
    times = np.arange(1, num_poses + 1) * interval_s
    poses = np.stack([5 * times, 0.1 * times, 0.01 * times], axis=1)
    return Future(ego=Trajectory(poses, interval_s), agents=(Agents.none(),) * num_poses)


def scene(**changes) -> Scene:
    state = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.array([5.0, 0]), acceleration=np.zeros(2))
    values = {
        "token": "t0",
        "log_name": "log",
        "location": "town",
        "world_from_ego": np.zeros(3),
        "observation": Observation(ego_history=(state,)),
        "agents": Agents.none(),
        "future": future(),
    }
    return Scene(**(values | changes))


def cell(x: float, y: float) -> tuple[int, int]:
    return int(x / 0.25), int(y / 0.25 + 128)


# --- trajectory -----------------------------------------------------------------------------------------------------


def test_the_trajectory_is_the_driven_one_at_the_layouts_times():
    expected = torch.tensor(future().ego.poses, dtype=torch.float32)
    assert torch.equal(driven_trajectory(scene(), LAYOUT), expected)
    assert torch.equal(driven_trajectory(scene(future=future(10)), LAYOUT), expected)


def test_a_finer_recording_is_thinned_to_the_same_times():
    assert torch.allclose(driven_trajectory(scene(future=future(40, 0.1)), LAYOUT), driven_trajectory(scene(), LAYOUT))


def test_a_future_that_does_not_fit_says_what_to_do():
    with pytest.raises(InputError, match="has no future"):
        build_targets(scene(future=None), LAYOUT)
    with pytest.raises(InputError, match=r"scene .t0.*3.5 s does not reach 4 s"):
        build_targets(scene(future=future(7)), LAYOUT)
    with pytest.raises(InputError, match=r"every 0.3 s.*Load it with an interval of 0.5 s"):
        build_targets(scene(future=future(20, 0.3)), LAYOUT)
    with pytest.raises(InputError, match=r"every 1 s"):
        build_targets(scene(future=future(8, 1.0)), LAYOUT)


# --- agents ---------------------------------------------------------------------------------------------------------


def test_vehicles_in_range_come_nearest_first_and_the_rest_is_zero():
    boxes = [(20, 5, 0.1, 4, 2), (-3, 4, 0.2, 5, 2), (33, 0, 0, 4, 2), (0, -33, 0, 4, 2), (32, -32, 0.3, 6, 2)]
    states, labels = build_agents(agents_at(boxes), LAYOUT)
    assert states.shape == (30, 5) and labels.shape == (30,) and labels.dtype == torch.bool
    assert labels.tolist() == [True] * 3 + [False] * 27
    assert torch.allclose(states[:3], torch.tensor([boxes[1], boxes[0], boxes[4]]))
    assert not states[3:].any()


def test_only_the_thirty_nearest_are_kept():
    rows = [(float(k) / 2, 0.0, 0.0, 4.0, 2.0) for k in range(40, 0, -1)]
    states, labels = build_agents(agents_at(rows), LAYOUT)
    assert labels.all()
    assert states[:, 0].tolist() == [k / 2 for k in range(1, 31)]


@pytest.mark.parametrize("kind", [kind for kind in AgentKind if kind is not AgentKind.VEHICLE])
def test_nothing_but_vehicles_is_a_target(kind):
    _, labels = build_agents(agents_at([(5, 0, 0, 1, 1)], kind), LAYOUT)
    assert not labels.any()


# --- semantic map ---------------------------------------------------------------------------------------------------


def test_rows_run_ahead_from_the_rear_axle_and_columns_from_right_to_left():
    grid = build_bev_semantic(scene(agents=agents_at([(20, 10, 0, 4, 2), (-20, -10, 0, 4, 2)])), LAYOUT)
    assert grid.shape == (128, 256) and grid.dtype == torch.int64
    rows, columns = torch.nonzero(grid == BevClass.VEHICLE, as_tuple=True)
    # 4 m by 2 m around x = 20, y = 10; the one behind is out of the picture.
    assert (rows.min(), rows.max()) == (72, 88)
    assert (columns.min(), columns.max()) == (164, 172)


def test_road_is_lanes_and_intersections_and_centrelines_lie_on_it():
    square = np.array([[10, -20], [20, -20], [20, -10], [10, -10]], float)
    intersection = Area(area_id="i", kind=AreaKind.INTERSECTION, outline=square)
    grid = build_bev_semantic(scene(vector_map=VectorMap(lanes=(lane("a", 3.0),), areas=(intersection,))), LAYOUT)
    assert grid[cell(10, 3 - 1.5)] == BevClass.ROAD and grid[cell(10, 3 + 1.5)] == BevClass.ROAD
    assert grid[cell(15, -15)] == BevClass.ROAD
    assert grid[cell(10, 6)] == BevClass.NOTHING
    line = (grid[60] == BevClass.CENTERLINE).nonzero().ravel().tolist()
    middle = cell(0, 3.0)[1]
    assert line == [middle - 1, middle, middle + 1]


def test_a_centreline_is_as_wide_across_as_along():
    across = Lane(
        lane_id="across",
        centerline=np.array([[12.1, -40.0], [12.1, 40.0]]),
        left_boundary=np.array([[10.3, -40.0], [10.3, 40.0]]),
        right_boundary=np.array([[13.9, -40.0], [13.9, 40.0]]),
    )
    grid = build_bev_semantic(scene(vector_map=VectorMap(lanes=(across,))), LAYOUT)
    assert (grid[:, 100] == BevClass.CENTERLINE).nonzero().ravel().tolist() == [47, 48, 49]


@pytest.mark.parametrize("heading, cells", [(0.0, 153), (0.5, 144), (1.2, 140)])
def test_a_box_covers_as_many_cells_as_opencv_gives_it(heading, cells):
    # Recorded from cv2.fillPoly (OpenCV 5.0) on the same corners; without its border the last box has 128.
    grid = build_bev_semantic(scene(agents=agents_at([(10, 4, heading, 4, 2)])), LAYOUT)
    assert int((grid == BevClass.VEHICLE).sum()) == cells


def test_bicycle_lanes_are_road_without_a_centreline():
    grid = build_bev_semantic(scene(vector_map=VectorMap(lanes=(lane("b", 0.0, is_bike_lane=True),))), LAYOUT)
    assert set(grid.unique().tolist()) == {BevClass.NOTHING, BevClass.ROAD}


def test_later_classes_cover_earlier_ones():
    def square(half: float) -> np.ndarray:
        return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + [16.0, 0.0]

    walkway = Area(area_id="w", kind=AreaKind.WALKWAY, outline=square(8))
    road = Area(area_id="i", kind=AreaKind.INTERSECTION, outline=square(10))
    layers = [
        agents_at([(16, 0, 0, 2, 2)], AgentKind.PEDESTRIAN),
        agents_at([(16, 0, 0, 6, 6)], AgentKind.BARRIER),
        agents_at([(16, 0, 0, 4, 4)], AgentKind.VEHICLE),
        agents_at([(16, 0, 0, 0.5, 0.5)], AgentKind.BICYCLE),
    ]
    everything = Agents(
        track_tokens=tuple(layer.track_tokens[0] for layer in layers),
        kinds=tuple(layer.kinds[0] for layer in layers),
        boxes=np.concatenate([layer.boxes for layer in layers]),
        vertical=np.concatenate([layer.vertical for layer in layers]),
        velocities=np.zeros((4, 2)),
    )
    vector_map = VectorMap(lanes=(lane("a", 0.0, x=(10.0, 22.0)),), areas=(walkway, road))
    grid = build_bev_semantic(scene(agents=everything, vector_map=vector_map), LAYOUT)
    seen = [int(grid[cell(16 + ahead, 0)]) for ahead in (0, 1.5, 2.5, 4.5, 7.0, 9.0)]
    assert seen == [
        BevClass.PEDESTRIAN,
        BevClass.VEHICLE,
        BevClass.STATIC_OBJECT,
        BevClass.CENTERLINE,
        BevClass.WALKWAY,
        BevClass.ROAD,
    ]


@pytest.mark.parametrize("kind", [k for k in AreaKind if k not in (AreaKind.INTERSECTION, AreaKind.WALKWAY)])
def test_other_areas_are_not_drawn(kind):
    area = Area(area_id="x", kind=kind, outline=np.array([[5, -5], [20, -5], [20, 5], [5, 5]], float))
    assert not build_bev_semantic(scene(vector_map=VectorMap(areas=(area,))), LAYOUT).any()


def test_a_layout_with_other_classes_is_refused():
    with pytest.raises(InputError, match="bev_classes=7"):
        build_bev_semantic(scene(), TargetLayout(bev_classes=9))


def test_a_smaller_layout_covers_the_same_ground():
    small = TargetLayout(bev_rows=32, bev_columns=64, bev_pixel_m=1.0)
    whole = scene(agents=agents_at([(20, 10, 0, 8, 6)]))
    fine, coarse = build_bev_semantic(whole, LAYOUT), build_bev_semantic(whole, small)
    assert coarse.shape == (32, 64)
    assert coarse[20, 42] == fine[cell(20.5, 10.5)] == BevClass.VEHICLE


# --- the whole ------------------------------------------------------------------------------------------------------


def test_targets_are_one_scene_and_batches_join():
    targets = build_targets(scene(agents=agents_at([(10, 0, 0, 4, 2)])), LAYOUT)
    both = collate([targets, build_targets(scene(), LAYOUT)])
    assert both.trajectory.shape == (2, 8, 3) and both.trajectory.dtype == torch.float32
    assert both.agent_labels.sum(dim=1).tolist() == [1, 0]
    assert both.bev_semantic.shape == (2, 128, 256)


def moved(world_map: VectorMap, world_boxes: np.ndarray, world_poses: np.ndarray, ego: np.ndarray) -> Scene:
    """The scene that a car at ``ego`` sees of facts in the world frame."""
    rows = np.concatenate([to_local(world_boxes[:, :3], ego), world_boxes[:, 3:]], axis=1)
    return scene(
        agents=agents_at([tuple(row) for row in rows]),
        vector_map=world_map.to_local(ego),
        future=dataclasses.replace(future(), ego=Trajectory(to_local(world_poses, ego))),
    )


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-500, 500), y=st.floats(-500, 500), heading=st.floats(-3.1, 3.1))
def test_moving_the_whole_world_changes_no_target(x, y, heading):
    motion = np.array([x, y, heading])
    back = np.concatenate([to_local(np.zeros(2), motion), [-heading]])
    world_map, ego = VectorMap(lanes=(lane("a", 0.3), lane("b", 4.1))), np.array([2.0, 0.4, 0.05])
    boxes = np.array([[14.2, 3.9, 0.1, 4.4, 1.9], [27.7, -9.1, 1.3, 5.1, 2.0], [-8.1, 0.2, 0.0, 4.0, 1.8]])
    poses = future().ego.poses + ego

    there = np.concatenate([to_world(boxes[:, :3], motion), boxes[:, 3:]], axis=1)
    first = build_targets(moved(world_map, boxes, poses, ego), LAYOUT)
    second = build_targets(moved(world_map.to_local(back), there, to_world(poses, motion), to_world(ego, motion)), LAYOUT)
    assert torch.allclose(first.trajectory, second.trajectory, atol=1e-4)
    assert torch.allclose(first.agent_states, second.agent_states, atol=1e-4)
    assert torch.equal(first.agent_labels, second.agent_labels)
    # Corners that fall on a cell's edge may go either way with the last bit.
    assert (first.bev_semantic != second.bev_semantic).float().mean() < 0.005
