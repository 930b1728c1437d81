"""Scenes as a cache hands them out: bytes for images, counts for LiDAR cells, classes for the map; floats where they are few.

A scene takes a fifth of its tensors' size, so it is cheap to slice and to move; floats are made on the device that trains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffdrive.features.inputs import build_inputs
from diffdrive.features.inputs.stitching import STITCH_ORDER
from diffdrive.features.targets import build_targets
from diffdrive.scene import CameraFrame, CameraId, Scene
from diffdrive.tensors import InputLayout, PlannerInputs, PlannerTargets, TargetLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBatch:
    """Some scenes as stored: cheap to slice and to move to a device, turned into the network's tensors there."""

    camera: Tensor
    """[B, H, W, 3] uint8."""

    lidar: Tensor
    """[B, C, Hl, Wl] uint8 counts."""

    status: Tensor
    rig: Tensor
    """[B, 3, 18] float32, the left-front, front and right-front camera: fx, fy, cx, cy, width, height (pixels of the full
    image; pixel (0, 0) has its centre at (0.5, 0.5)), rotation (row by row, vehicle from camera), translation (metres)."""

    trajectory: Tensor
    agent_states: Tensor
    agent_labels: Tensor
    bev_semantic: Tensor
    """[B, Hb, Wb] uint8."""

    def __len__(self) -> int:
        return int(self.status.shape[0])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> PackedBatch:
        """Move every tensor to ``device``."""
        return PackedBatch(
            **{f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in dataclasses.fields(self)}
        )

    def inputs(self, layout: InputLayout) -> PlannerInputs:
        """What the network sees, bit for bit what ``build_inputs`` makes. The camera tensor is channels-last in memory."""
        return PlannerInputs(
            camera=_divided(self.camera.permute(0, 3, 1, 2), 255),
            lidar=_divided(self.lidar, layout.lidar_max_count),
            status=self.status,
        )

    def targets(self) -> PlannerTargets:
        """What the losses compare with, bit for bit what ``build_targets`` makes."""
        return PlannerTargets(
            trajectory=self.trajectory,
            agent_states=self.agent_states,
            agent_labels=self.agent_labels,
            bev_semantic=self.bev_semantic.long(),
        )


def pack(scene: Scene, inputs: InputLayout, targets: TargetLayout) -> PackedBatch:
    """The features of one scene as stored. Nothing is lost: they are whole steps of 1/255 and of one count.

    Raises ``InputError`` for a scene without what training needs.
    """
    seen, wanted = build_inputs(scene.observation, inputs), build_targets(scene, targets)
    return PackedBatch(
        camera=seen.camera.mul(255.0).round().to(torch.uint8).permute(0, 2, 3, 1),
        lidar=seen.lidar.mul(inputs.lidar_max_count).round().to(torch.uint8),
        status=seen.status,
        rig=torch.from_numpy(rig_of(scene.observation.cameras)[None]),
        trajectory=wanted.trajectory.float(),
        agent_states=wanted.agent_states.float(),
        agent_labels=wanted.agent_labels,
        bev_semantic=wanted.bev_semantic.to(torch.uint8),
    )


def rig_of(cameras: Mapping[CameraId, CameraFrame]) -> np.ndarray:
    """[3, 18] float32, as in ``PackedBatch``."""
    rows = []
    for name in STITCH_ORDER:
        frame = cameras[name]
        (fx, _, cx), (_, fy, cy), _ = frame.intrinsics
        height, width, _ = frame.image.shape
        pose = frame.ego_from_camera
        rows.append([fx, fy, cx, cy, width, height, *pose[:3, :3].ravel(), *pose[:3, 3]])
    return np.array(rows, dtype=np.float32)


def _divided(whole: Tensor, by: int) -> Tensor:
    """``whole`` as float32 divided by ``by``, rounded as IEEE says.

    By a tensor, because a GPU multiplies with the reciprocal of a plain number, which is another number now and then.
    """
    return whole.float().div_(torch.tensor(float(by), device=whole.device))
