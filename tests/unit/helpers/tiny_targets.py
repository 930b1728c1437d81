"""Targets of no real scene, for planners of any size."""

from __future__ import annotations

import torch

from diffdrive.model import PlannerConfig
from diffdrive.tensors import PlannerTargets


def tiny_targets(config: PlannerConfig, batch: int) -> PlannerTargets:
    generator = torch.Generator().manual_seed(20)
    layout = config.targets
    ahead = torch.linspace(0.5, 4.0, layout.num_poses)[None, :, None]
    return PlannerTargets(
        trajectory=ahead * torch.tensor([5.0, 0.3, 0.02]).expand(batch, 1, 3),
        agent_states=torch.randn(batch, layout.num_agents, 5, generator=generator),
        agent_labels=torch.rand(batch, layout.num_agents, generator=generator) > 0.7,
        bev_semantic=torch.randint(0, layout.bev_classes, (batch, layout.bev_rows, layout.bev_columns), generator=generator),
    )
