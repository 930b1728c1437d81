"""Turn and move the ego frame a little: what the sensors saw, what stands around and what was driven, all seen from there.

It is a change of frame and nothing else. The car is where it was and drives as it drove; velocity and acceleration are the
same vectors told along the new axes, and the driven trajectory begins where the old frame was. The command stays.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.tensors import BEV_IGNORED, InputLayout, TargetLayout
from diffdrive.training.augmentation.filling import filled
from diffdrive.training.augmentation.frame_change import FrameChange
from diffdrive.training.augmentation.some_rows import draw, draw_rows, with_rows_changed
from diffdrive.training.augmentation.stitched_view import seen_from
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config.augmentation import EgoJitterConfig, Fill


def jitter_ego_some(
    batch: PackedBatch, config: EgoJitterConfig, inputs: InputLayout, targets: TargetLayout, generator: torch.Generator
) -> PackedBatch:
    """Draw a new frame for some samples and express them in it."""
    rows = draw_rows(batch, config.probability, generator)
    yaw_reach = math.radians(config.max_yaw_deg)
    forward, left, yaw = (
        draw(len(rows), -reach, reach, generator) for reach in (config.max_forward_m, config.max_left_m, yaw_reach)
    )
    change = FrameChange.of(forward, left, yaw, batch.status.device)
    return with_rows_changed(
        batch, rows, lambda some: in_frame(some, change, inputs, targets, fill=config.fill, generator=generator)
    )


def in_frame(
    batch: PackedBatch,
    change: FrameChange,
    inputs: InputLayout,
    targets: TargetLayout,
    *,
    fill: Fill,
    generator: torch.Generator,
) -> PackedBatch:
    """Every sample of ``batch`` in the frame of ``change``. ``generator`` paints what no camera saw.

    What comes from outside is unknown: no LiDAR points, ``BEV_IGNORED`` on the map, and no vehicles.
    """
    camera, is_seen = seen_from(batch.camera, batch.rig, change)
    reach, half_width = inputs.lidar_range_m, targets.bev_columns / 2 * targets.bev_pixel_m
    states, labels = _agents_in(change, batch.agent_states, batch.agent_labels, targets.agent_range_m)
    motion = batch.status[:, 4:].unflatten(1, (2, 2))
    bev = change.grid(batch.bev_semantic[:, None], first_m=(0.0, -half_width), cell_m=targets.bev_pixel_m, unseen=BEV_IGNORED)
    return replace(
        batch,
        camera=filled(camera, ~is_seen, fill, generator),
        lidar=change.grid(batch.lidar, first_m=(-reach, -reach), cell_m=2 * reach / inputs.lidar_pixels, unseen=0),
        status=torch.cat([batch.status[:, :4], change.vectors(motion).flatten(1)], dim=1),
        trajectory=change.poses(batch.trajectory),
        agent_states=states,
        agent_labels=labels,
        bev_semantic=bev[:, 0],
    )


def _agents_in(change: FrameChange, states: Tensor, labels: Tensor, range_m: float) -> tuple[Tensor, Tensor]:
    """Boxes [N, A, 5] and which are real [N, A]: those that left the range are not, and the nearest come first again."""
    moved = change.poses(states)
    is_real = labels & (moved[..., :2].abs() <= range_m).all(dim=-1)
    distance = torch.hypot(moved[..., 0], moved[..., 1]).where(is_real, torch.inf)
    order = distance.argsort(dim=1, stable=True)
    is_real = is_real.gather(1, order)
    moved = moved.gather(1, order[..., None].expand_as(moved))
    return moved * is_real[..., None], is_real
