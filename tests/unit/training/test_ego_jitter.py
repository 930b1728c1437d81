"""The jittered ego frame: what is exact is exact, and picture, points, boxes and map turn together."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from packed_noise import packed_noise
from stitched_point import rig_tensor, stitched_point

from diffdrive.geometry import to_local, wrap_angle
from diffdrive.tensors import BEV_IGNORED, InputLayout, TargetLayout
from diffdrive.training.augmentation.ego_jitter import in_frame, jitter_ego_some
from diffdrive.training.augmentation.frame_change import FrameChange
from diffdrive.training.augmentation.mirroring import mirror
from diffdrive.training.augmentation.stitched_view import seen_from
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config.augmentation import EgoJitterConfig, Fill
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, rig_at

INPUTS = InputLayout(camera_height=96, camera_width=384, lidar_pixels=128)
TARGETS = TargetLayout(bev_rows=64, bev_columns=128, bev_pixel_m=0.5, num_agents=12)
BATCH = packed_noise(6, INPUTS, TARGETS)
FRAMES = [(0.0, 0.0, 6.0), (0.5, 0.0, 0.0), (0.0, -0.5, 0.0), (-0.3, 0.4, -5.0), (0.2, -0.1, 2.0)]

LOPSIDED = (
    replace(NUPLAN_FRONT_RIG[0], position=(1.5, 0.6, 1.7), yaw=math.radians(57.0)),
    replace(NUPLAN_FRONT_RIG[1], position=(1.8, 0.1, 1.5), yaw=math.radians(1.0), centre=(236.0, 138.0)),
    replace(NUPLAN_FRONT_RIG[2], position=(1.4, -0.5, 1.6), yaw=math.radians(-54.0), focal=380.0),
)
ON_THE_ROAD = [(8.0, 0.5), (14.0, -2.0), (20.0, 4.0), (9.0, 10.5), (6.0, -7.0), (18.0, -9.0), (5.0, 6.5)]


def change_to(forward: float, left: float, degrees: float, count: int = 1) -> FrameChange:
    values = (torch.full((count,), value, dtype=torch.float64) for value in (forward, left, math.radians(degrees)))
    return FrameChange.of(*values, torch.device("cpu"))


def jittered(batch: PackedBatch, change: FrameChange) -> PackedBatch:
    return in_frame(batch, change, INPUTS, TARGETS, fill=Fill.MEAN, generator=torch.Generator().manual_seed(0))


def pose_of(frame: tuple[float, float, float]) -> np.ndarray:
    return np.array([frame[0], frame[1], math.radians(frame[2])])


def test_no_jitter_is_the_same_bits() -> None:
    rigs = torch.cat([rig_tensor(rig) for rig in (NUPLAN_FRONT_RIG, rig_at(1.0, NUPLAN_FRONT_RIG), LOPSIDED)]).repeat(2, 1, 1)
    batch = replace(BATCH, rig=rigs)
    still = EgoJitterConfig(probability=1.0, max_yaw_deg=0.0, max_forward_m=0.0, max_left_m=0.0, fill=Fill.NOISE)
    made = jitter_ego_some(batch, still, INPUTS, TARGETS, torch.Generator().manual_seed(0))
    assert made is not batch
    for field in dataclasses.fields(batch):
        assert torch.equal(getattr(made, field.name), getattr(batch, field.name)), field.name


@pytest.mark.parametrize("frame", FRAMES)
def test_trajectory_boxes_and_motion_are_those_of_the_geometry_package(frame: tuple[float, float, float]) -> None:
    pose, made = pose_of(frame), jittered(BATCH, change_to(*frame, count=len(BATCH)))
    wrapped = BATCH.trajectory.double().numpy()
    expected = to_local(wrapped, pose)
    off = made.trajectory.double().numpy() - expected
    assert np.abs(off[..., :2]).max() < 1e-5 and np.abs(wrap_angle(off[..., 2])).max() < 1e-5
    motion = BATCH.status[:, 4:].double().reshape(-1, 2, 2).numpy()
    turned = to_local(motion, np.array([0.0, 0.0, pose[2]]))
    np.testing.assert_allclose(made.status[:, 4:].reshape(-1, 2, 2), turned, atol=1e-6)
    assert torch.equal(made.status[:, :4], BATCH.status[:, :4])
    for sample in range(len(BATCH)):
        boxes = BATCH.agent_states[sample][BATCH.agent_labels[sample]].double().numpy()
        moved = np.concatenate([to_local(boxes[:, :3], pose), boxes[:, 3:]], axis=1)
        moved = moved[(np.abs(moved[:, :2]) <= TARGETS.agent_range_m).all(axis=1)]
        moved = moved[np.argsort(np.hypot(moved[:, 0], moved[:, 1]), kind="stable")]
        labels = made.agent_labels[sample]
        assert labels.tolist() == [True] * len(moved) + [False] * (TARGETS.num_agents - len(moved))
        np.testing.assert_allclose(made.agent_states[sample][labels].numpy(), moved, atol=1e-5)
        assert (made.agent_states[sample][~labels] == 0).all()


def test_headings_are_wrapped_and_boxes_that_leave_are_not_real() -> None:
    states = torch.zeros(1, 12, 5)
    states[0, 0] = torch.tensor([3.0, 0.0, math.radians(-178), 4.5, 1.9])
    states[0, 1] = torch.tensor([10.0, 31.9, 0.0, 4.5, 1.9])
    states[0, 2] = torch.tensor([31.9, 20.0, 0.0, 4.5, 1.9])
    labels = torch.tensor([[True] * 3 + [False] * 9])
    one = replace(packed_noise(1, INPUTS, TARGETS), agent_states=states, agent_labels=labels)
    made = jittered(one, change_to(0.0, -0.3, 5.0))
    back = jittered(made, change_to(0.0, 0.0, -5.0))
    assert back.agent_states[0, 0, 2] == pytest.approx(math.radians(-178), abs=1e-6)
    assert made.agent_labels.sum() == 2
    assert made.agent_states[0, 0, 2] == pytest.approx(math.radians(177), abs=1e-6)
    assert (made.agent_states[0, 1, :2].abs() <= 32).all() and (made.agent_states[0, 2:] == 0).all()


def test_slots_stay_nearest_first() -> None:
    states = torch.zeros(1, 12, 5)
    states[0, 0, :2], states[0, 1, :2] = torch.tensor([5.0, 0.0]), torch.tensor([0.0, 5.1])
    one = replace(packed_noise(1, INPUTS, TARGETS), agent_states=states, agent_labels=torch.tensor([[True] * 2 + [False] * 10]))
    made = jittered(one, change_to(0.0, 0.5, 0.0))
    torch.testing.assert_close(made.agent_states[0, :2, :2], torch.tensor([[0.0, 4.6], [5.0, -0.5]]))


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("point", [(12.0, -7.0), (25.0, 18.0), (3.0, 1.0)])
def test_points_and_map_cells_go_where_boxes_go(frame: tuple[float, float, float], point: tuple[float, float]) -> None:
    """A block of 3 x 3 cells: its middle must be where its centre, told as a box, is."""
    lidar, bev = torch.zeros_like(BATCH.lidar[:1]), torch.zeros_like(BATCH.bev_semantic[:1])
    row, column = int((point[0] + 32) / 0.5), int((point[1] + 32) / 0.5)
    lidar[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 5
    bev[0, row - 64 - 1 : row - 64 + 2, column - 1 : column + 2] = 5
    old = np.array([row * 0.5 + 0.25 - 32, column * 0.5 + 0.25 - 32])
    one = replace(packed_noise(1, INPUTS, TARGETS), lidar=lidar, bev_semantic=bev)
    made = jittered(one, change_to(*frame))
    expected = to_local(old, pose_of(frame))
    for cells, first in ((made.lidar[0, 0], -32.0), (made.bev_semantic[0], 0.0)):
        at = (cells == 5).nonzero().double().mean(dim=0).numpy() * 0.5 + 0.25 + [first, -32.0]
        assert np.abs(at - expected).max() < 0.3, (at, expected)


def test_what_comes_from_outside_is_unknown() -> None:
    one = replace(BATCH, lidar=torch.full_like(BATCH.lidar, 5), bev_semantic=torch.ones_like(BATCH.bev_semantic))
    made = jittered(one, change_to(0.5, 0.0, 0.0, count=len(BATCH)))
    assert (made.lidar[:, 0, -1] == 0).all() and (made.lidar[:, 0, :-1] == 5).all()
    assert (made.bev_semantic[:, -1] == BEV_IGNORED).all() and (made.bev_semantic[:, :-1] == 1).all()


@pytest.mark.parametrize("rig", [NUPLAN_FRONT_RIG, rig_at(1.0, NUPLAN_FRONT_RIG), LOPSIDED], ids=["world", "1080p", "lopsided"])
def test_where_an_agent_stands_moves_with_the_picture(rig: tuple) -> None:
    """The road is exact: a mark at a box's centre is found where the moved box's centre projects to."""
    found = 0
    for frame in FRAMES:
        for point in ON_THE_ROAD:
            moved = to_local(np.array(point), pose_of(frame))
            before, after = stitched_point((*point, 0.0), INPUTS, rig), stitched_point((*moved, 0.0), INPUTS, rig)
            if before is None or after is None or min(before[1], after[1], 96 - before[1], 96 - after[1]) < 4:
                continue
            made, seen = seen_from(marked(before), rig_tensor(rig), change_to(*frame))
            assert centre_of(made[0]) == pytest.approx(after, abs=0.5), (frame, point)
            assert seen[0, int(after[1]), int(after[0])]
            found += 1
    assert found > 20


@pytest.mark.parametrize("point", [(40.0, 3.0, 4.0), (30.0, -8.0, 3.0), (22.0, 27.0, 5.0), (20.0, -26.0, 6.0)])
def test_buildings_move_with_the_picture_but_for_their_depth(point: tuple[float, float, float]) -> None:
    frame = (0.0, 0.0, 4.0)
    moved = (*to_local(np.array(point[:2]), pose_of(frame)), point[2])
    before, after = stitched_point(point, INPUTS), stitched_point(moved, INPUTS)
    assert before is not None and after is not None
    made = seen_from(marked(before), rig_tensor(), change_to(*frame))[0][0]
    assert centre_of(made) == pytest.approx(after, abs=0.8)
    assert abs(after[0] - before[0]) > 8


def test_a_turn_leads_from_one_camera_into_the_next() -> None:
    side = int(17 / 64 * 384)
    for point, degrees in (((19.0, 10.2), -7.0), ((19.0, -10.2), 7.0), ((17.6, 12.5), 7.0), ((17.6, -12.5), -7.0)):
        before = stitched_point((*point, 0.0), INPUTS)
        after = stitched_point((*to_local(np.array(point), pose_of((0.0, 0.0, degrees))), 0.0), INPUTS)
        assert before is not None and after is not None
        assert (side < before[0] < 384 - side) is not (side < after[0] < 384 - side), "it is in another image now"
        made, seen = seen_from(marked(before), rig_tensor(), change_to(0.0, 0.0, degrees))
        # The mark itself is painted over the seam, so its peak tells more than its centre.
        row, column = divmod(int(made[0, ..., 0].argmax()), 384)
        assert (column + 0.5, row + 0.5) == pytest.approx(after, abs=1.0)
        assert seen[0, int(after[1]), int(after[0])]


def test_cameras_are_never_blended() -> None:
    images = torch.zeros(1, 96, 384, 3, dtype=torch.uint8)
    images[:, :, 102:282] = 200
    for frame in FRAMES:
        made, seen = seen_from(images, rig_tensor(), change_to(*frame))
        assert set(made[seen].unique().tolist()) == {0, 200}


def test_nothing_is_seen_by_looking_back() -> None:
    assert not seen_from(BATCH.camera[:1], BATCH.rig[:1], change_to(0.0, 0.0, 180.0))[1].any()


def test_a_mirrored_rig_sees_the_mirrored_world() -> None:
    for point in ON_THE_ROAD:
        before = stitched_point((*point, 0.0), INPUTS, LOPSIDED)
        if before is None:
            continue
        one = replace(packed_noise(1, INPUTS, TARGETS), camera=marked(before), rig=rig_tensor(LOPSIDED))
        made = mirror(one)
        # Turned in the mirror, and then mirrored back: the same as turned to the other side.
        both = mirror(replace(made, camera=seen_from(made.camera, made.rig, change_to(0.1, 0.2, -3.0))[0]))
        direct = seen_from(one.camera, one.rig, change_to(0.1, -0.2, 3.0))[0]
        assert torch.equal(mirror(made).rig, one.rig)
        assert (both.camera.int() - direct.int()).abs().max() <= 1


def marked(at: tuple[float, float]) -> torch.Tensor:
    """[1, 96, 384, 3]: black, but for a soft mark around (column, row)."""
    column, row = torch.arange(384) + 0.5 - at[0], torch.arange(96) + 0.5 - at[1]
    mark = 250 * torch.exp(-(column**2 + row[:, None] ** 2) / 3.0)
    return mark.round().to(torch.uint8)[None, :, :, None].expand(-1, -1, -1, 3).contiguous()


def centre_of(picture: torch.Tensor) -> tuple[float, float]:
    weight = picture[..., 0].double()
    column, row = torch.arange(384) + 0.5, torch.arange(96) + 0.5
    total = weight.sum()
    return float((weight.sum(dim=0) * column).sum() / total), float((weight.sum(dim=1) * row).sum() / total)
