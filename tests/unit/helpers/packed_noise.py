"""A batch of random features with the world's rig, made without a scene."""

from __future__ import annotations

import torch
from stitched_point import rig_tensor

from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache import PackedBatch


def packed_noise(count: int, inputs: InputLayout, targets: TargetLayout, seed: int = 0) -> PackedBatch:
    """Every column of ``count`` samples; vehicles are nearest first, and some rows have none."""
    rng = torch.Generator().manual_seed(seed)

    def bytes_of(*shape: int, below: int = 256) -> torch.Tensor:
        return torch.randint(below, (count, *shape), generator=rng, dtype=torch.uint8)

    number = torch.randint(targets.num_agents + 1, (count, 1), generator=rng)
    labels = torch.arange(targets.num_agents) < number
    states = torch.rand(count, targets.num_agents, 5, generator=rng)
    low, high = torch.tensor([-32.0, -32, -3.1, 3, 1.5]), torch.tensor([32.0, 32, 3.1, 6, 2.5])
    states = low + (high - low) * states
    order = states[..., :2].norm(dim=-1).argsort(dim=1)
    return PackedBatch(
        camera=bytes_of(inputs.camera_height, inputs.camera_width, 3),
        lidar=bytes_of(1, inputs.lidar_pixels, inputs.lidar_pixels, below=inputs.lidar_max_count + 1),
        status=torch.cat([torch.eye(4).repeat(count, 1)[:count], torch.randn(count, 4, generator=rng)], dim=1),
        rig=rig_tensor().repeat(count, 1, 1),
        trajectory=torch.randn(count, targets.num_poses, 3, generator=rng).cumsum(dim=1) * torch.tensor([4.0, 4.0, 0.1]),
        agent_states=states.gather(1, order[..., None].expand_as(states)) * labels[..., None],
        agent_labels=labels,
        bev_semantic=bytes_of(targets.bev_rows, targets.bev_columns, below=targets.bev_classes),
    )
