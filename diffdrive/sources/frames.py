"""Bring world-frame values of a log into the ego frame of one moment."""

from __future__ import annotations

import numpy as np

from diffdrive.geometry import to_local, transform_points
from diffdrive.geometry.se2 import rotate
from diffdrive.scene import Agents, EgoState


def ego_in_frame(state: EgoState, world_from_ego: np.ndarray) -> EgoState:
    return EgoState(
        timestamp_us=state.timestamp_us,
        pose=to_local(state.pose, world_from_ego),
        velocity=state.velocity,
        acceleration=state.acceleration,
        yaw_rate=state.yaw_rate,
    )


def agents_in_frame(agents: Agents, world_from_ego: np.ndarray, body_from_world: np.ndarray) -> Agents:
    """World to ego. Height is measured from the plane the car stands on, so that boxes match sweeps and images on a slope."""
    if not len(agents):
        return agents
    centers = np.column_stack([agents.boxes[:, :2], agents.vertical[:, 0]])
    return Agents(
        track_tokens=agents.track_tokens,
        kinds=agents.kinds,
        boxes=np.concatenate([to_local(agents.boxes[:, :3], world_from_ego), agents.boxes[:, 3:]], axis=1),
        vertical=np.column_stack([transform_points(body_from_world, centers)[:, 2], agents.vertical[:, 1]]),
        velocities=rotate(agents.velocities, -float(world_from_ego[2])),
    )
