"""A scene of the world with the ego frame put elsewhere: the same moment, told and to be rendered from there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffdrive.geometry import to_local, to_world
from diffdrive.geometry.se2 import rotate
from diffdrive.scene import Agents, Future, Scene, Trajectory


def moved_scene(scene: Scene, frame: np.ndarray) -> Scene:
    """``scene`` without sensors, past and route, in the frame whose pose in the old frame is ``frame`` [3]."""
    ego, future = scene.observation.ego, scene.future
    if future is None:
        raise ValueError("the scene has no future")
    turned = replace(ego, velocity=rotate(ego.velocity, -frame[2]), acceleration=rotate(ego.acceleration, -frame[2]))
    return replace(
        scene,
        world_from_ego=to_world(frame, scene.world_from_ego),
        observation=replace(scene.observation, ego_history=(turned,), cameras={}, lidar=None),
        agents=_moved(scene.agents, frame),
        vector_map=scene.vector_map.to_local(frame),
        route=None,
        past_agents=(),
        future=Future(
            ego=Trajectory(to_local(future.ego.poses, frame), future.ego.interval_s),
            agents=tuple(_moved(agents, frame) for agents in future.agents),
        ),
    )


def _moved(agents: Agents, frame: np.ndarray) -> Agents:
    poses = to_local(agents.boxes[:, :3], frame)
    boxes = np.concatenate([poses, agents.boxes[:, 3:]], axis=1)
    return replace(agents, boxes=boxes, velocities=rotate(agents.velocities, -frame[2]))
