"""Mirror training samples left-right: images, LiDAR, motion, command and every target together."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scene import DrivingCommand
from diffdrive.training.augmentation.some_rows import draw_rows, with_rows_changed
from diffdrive.training.cache import PackedBatch

_STATUS_ORDER = [
    *(
        {DrivingCommand.LEFT: DrivingCommand.RIGHT, DrivingCommand.RIGHT: DrivingCommand.LEFT}.get(command, command)
        for command in DrivingCommand
    ),
    4,
    5,
    6,
    7,
]
_STATUS_SIGNS = [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0]  # vy and ay change sign


def mirror(batch: PackedBatch) -> PackedBatch:
    """Every sample of ``batch`` seen in a mirror in the plane y = 0.

    The stitched image left-front | front | right-front mirrors as one picture, and the rig with it. Where the rig is not
    symmetric, the picture is one that another car would take. The mirrored world drives on the other side of the road.
    """
    signs_xyh = batch.trajectory.new_tensor([1.0, -1.0, -1.0])
    signs_box = batch.agent_states.new_tensor([1.0, -1.0, -1.0, 1.0, 1.0])
    return PackedBatch(
        camera=batch.camera.flip(2),
        lidar=batch.lidar.flip(3),
        status=batch.status[:, _STATUS_ORDER] * batch.status.new_tensor(_STATUS_SIGNS),
        rig=_mirrored_rig(batch.rig),
        trajectory=batch.trajectory * signs_xyh,
        agent_states=batch.agent_states * signs_box,
        agent_labels=batch.agent_labels,
        bev_semantic=batch.bev_semantic.flip(2),
    )


def _mirrored_rig(rig: Tensor) -> Tensor:
    """The other side's camera, its columns counted from the right; its pose flipped in y on both sides (columns: x)."""
    signs = rig.new_tensor([1, 1, -1, 1, 1, 1, -1, 1, 1, 1, -1, -1, -1, 1, 1, 1, -1, 1])
    flipped = rig.flip(1) * signs
    flipped[..., 2] += flipped[..., 4]
    return flipped


def mirror_some(batch: PackedBatch, probability: float, generator: torch.Generator) -> PackedBatch:
    """Mirror each sample with ``probability``."""
    return with_rows_changed(batch, draw_rows(batch, probability, generator), mirror)
