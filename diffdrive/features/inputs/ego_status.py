"""The eight numbers of the ego status: where the route goes and how the car moves."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.scene import DrivingCommand, Observation

STATUS_SIZE = len(DrivingCommand) + 4


def build_status(observation: Observation) -> Tensor:
    """[8] float32: one-hot command (left, straight, right, unknown), vx, vy (m/s), ax, ay (m/s^2) in the vehicle's axes."""
    status = torch.zeros(STATUS_SIZE, dtype=torch.float32)
    status[int(observation.command)] = 1.0
    status[len(DrivingCommand) :] = torch.tensor(
        [*observation.ego.velocity, *observation.ego.acceleration], dtype=torch.float32
    )
    return status
