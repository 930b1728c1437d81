"""From a scene without sensors to its images and its sweep."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diffdrive.geometry import to_world
from diffdrive.scene import CameraFrame, CameraId, LidarSweep, Scene
from diffdrive.world.conditions import NOON, Conditions
from diffdrive.world.render.actors import agents_mesh
from diffdrive.world.render.cameras import NUPLAN_FRONT_RIG, Camera
from diffdrive.world.render.embree import EmbreeRenderer, TownRays
from diffdrive.world.render.lidar import scan
from diffdrive.world.render.lidar_rig import NUPLAN_LIDAR, LidarRig, Motion
from diffdrive.world.render.mesh import Mesh, joined
from diffdrive.world.render.renderer import Renderer, open_renderer
from diffdrive.world.render.signals import signals_mesh
from diffdrive.world.render.signs import stop_signs
from diffdrive.world.render.town import Town


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """The sensors of one scene, and which agent each LiDAR point lies on."""

    cameras: Mapping[CameraId, CameraFrame]
    lidar: LidarSweep
    lidar_objects: np.ndarray
    """[N] row of ``Scene.agents``, or -1."""

    lidar_steps: np.ndarray
    """[rays] distances in steps of ``LidarRig.step_m``, uint16, zero where nothing came back: the sweep, before it became
    points."""


def motion_of(scene: Scene) -> Motion:
    """How the ego moves at t = 0."""
    ego = scene.observation.ego
    return Motion(forward=float(ego.velocity[0]), left=float(ego.velocity[1]), yaw_rate=ego.yaw_rate)


def moving_mesh(town: Town, scene: Scene) -> Mesh:
    """All agents, signals and stop signs of the scene at t = 0, in the town frame. The ego is not among them."""
    ego_pose = town.from_world(scene.world_from_ego)
    bodies = agents_mesh(scene.agents, to_world(scene.agents.boxes[:, :3], ego_pose))
    lights = scene.traffic_lights
    return joined([bodies, signals_mesh(town, lights), stop_signs(town.stops, lights, ego_pose)])


def sweep_errors(scene: Scene) -> np.random.Generator:
    """Draws the LiDAR's errors: the same for every scene of one log and time, whoever else is in it."""
    seed = hashlib.sha256(f"sweep of {scene.log_name} at {scene.observation.ego.timestamp_us}".encode()).digest()[:8]
    return np.random.default_rng(int.from_bytes(seed, "little"))


class Studio:
    """Holds what is worth keeping between scenes: a renderer's context and the towns' search trees."""

    def __init__(self, renderer: str | Renderer = "auto") -> None:
        """``renderer`` is a name for ``open_renderer`` or an open renderer."""
        self.rays = TownRays()
        self.renderer: Renderer = open_renderer(renderer) if isinstance(renderer, str) else renderer
        if isinstance(self.renderer, EmbreeRenderer):
            # Cameras and LiDAR then share one search tree per town.
            self.renderer = EmbreeRenderer(self.rays)

    def shoot(
        self,
        town: Town,
        scene: Scene,
        rng: np.random.Generator,
        *,
        conditions: Conditions = NOON,
        rig: Sequence[Camera] = NUPLAN_FRONT_RIG,
        lidar: LidarRig = NUPLAN_LIDAR,
    ) -> Shot:
        """Images and sweep of ``scene``, whose map is the town's; ``rng`` draws the LiDAR's errors."""
        moving = moving_mesh(town, scene)
        ego_pose = town.from_world(scene.world_from_ego)
        stage = self.rays.stage(town, moving)
        sweep = scan(stage, ego_pose, rng, motion=motion_of(scene), conditions=conditions, rig=lidar)
        cameras = self.renderer.render(town, moving, ego_pose, rig, conditions)
        return Shot(cameras=cameras, lidar=sweep.sweep, lidar_objects=sweep.objects, lidar_steps=sweep.steps)
