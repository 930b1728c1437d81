"""The vehicles that the agent head shall find."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffdrive.scene import AgentKind, Agents
from diffdrive.tensors import TargetLayout


def build_agents(agents: Agents, layout: TargetLayout) -> tuple[Tensor, Tensor]:
    """States [A, 5] float32 (x, y, heading, length, width) and labels [A] bool of the nearest vehicles in range.

    Nearest first, by the distance of the box centre from the rear axle; unused rows are zero and labelled false.
    """
    boxes = agents.of_kind(AgentKind.VEHICLE).boxes
    boxes = boxes[np.all(np.abs(boxes[:, :2]) <= layout.agent_range_m, axis=1)]
    nearest = np.argsort(np.hypot(boxes[:, 0], boxes[:, 1]), kind="stable")[: layout.num_agents]
    states = torch.zeros(layout.num_agents, 5, dtype=torch.float32)
    labels = torch.zeros(layout.num_agents, dtype=torch.bool)
    states[: len(nearest)] = torch.from_numpy(boxes[nearest]).to(torch.float32)
    labels[: len(nearest)] = True
    return states, labels
