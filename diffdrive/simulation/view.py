"""What the ego sees: any step of a drive as a ``Scene``, and its sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffdrive.geometry import invert_transform, to_local
from diffdrive.geometry.se3 import transform_from_pose
from diffdrive.scene import Agents, Observation, Scene, TrafficLight, command_from_route
from diffdrive.scoring.rules import MAP_RADIUS_M
from diffdrive.simulation.stage import Stage, Start
from diffdrive.simulation.trace import Trace
from diffdrive.sources.frames import agents_in_frame, ego_in_frame
from diffdrive.sources.map_index import MapIndex
from diffdrive.world.conditions import conditions_of
from diffdrive.world.record_sensors import open_town
from diffdrive.world.render import NUPLAN_FRONT_RIG, NUPLAN_LIDAR, Studio, Town
from diffdrive.world.render.archive import pack, unpack
from diffdrive.world.render.studio import motion_of, sweep_errors

HISTORY = (-15, -10, -5, 0)
"""Steps of the ego's history in an observation, as scenes of logs have them."""


class View:
    """Cuts scenes out of a drive, as a source cuts them out of its log."""

    def __init__(self, stage: Stage, start: Start) -> None:
        self._stage, self._log_name = stage, start.name
        self._map = MapIndex(stage.network.vector_map)
        lanes = {lane.lane_id: lane.centerline[0] for lane in stage.network.vector_map.lanes}
        self._lights = {name: lanes[name] for name in stage.network.signals}

    def scene(self, trace: Trace, step: int, *, route_from: float | None = None) -> Scene:
        """Step ``step`` of ``trace``, without sensors and without a future.

        Its route begins where the ego is, or at the arc length ``route_from``.
        """
        pose = trace.ego(step).pose
        body_from_world = invert_transform(transform_from_pose(pose))
        route = to_local(trace.route.ahead(trace.arcs[step] if route_from is None else route_from), pose)
        history = tuple(ego_in_frame(trace.ego(step + k), pose) for k in HISTORY)
        return Scene(
            token=f"{self._log_name}-{trace.timestamp_us(step)}",
            log_name=self._log_name,
            location=self._stage.location,
            world_from_ego=pose,
            observation=Observation(ego_history=history, command=command_from_route(route)),
            agents=agents_in_frame(self._near(trace.agents[step], pose), pose, body_from_world),
            vector_map=self._map.around(pose, MAP_RADIUS_M),
            traffic_lights=self._lights_near(trace.lights[step], pose),
            route=route if len(route) > 1 else None,
        )

    def _near(self, agents: Agents, pose: np.ndarray) -> Agents:
        return agents.select(np.hypot(*(agents.boxes[:, :2] - pose[:2]).T) <= self._stage.box_radius_m)

    def _lights_near(self, lights: tuple[TrafficLight, ...], pose: np.ndarray) -> tuple[TrafficLight, ...]:
        radius = self._stage.box_radius_m
        return tuple(light for light in lights if np.hypot(*(self._lights[light.lane_id] - pose[:2])) <= radius)


class Sensors:
    """The world's cameras and LiDAR, for the drives of one process."""

    def __init__(self, renderer: str = "auto") -> None:
        """Raises ``InputError`` where the renderer cannot run."""
        self._studio = Studio(renderer)
        self._town: Town | None = None

    @property
    def description(self) -> str:
        """What draws."""
        return f"{self._studio.renderer.name} ({self._studio.renderer.device})"

    def add_to(self, scene: Scene, stage: Stage) -> Scene:
        """``scene`` with images and a sweep, by way of the form in which rendered sensors are kept, as in training."""
        if self._town is None or self._town.name != stage.location:
            self._town = open_town(stage.location, stage.network.vector_map)
        shot = self._studio.shoot(self._town, scene, sweep_errors(scene), conditions=conditions_of(scene.log_name))
        kept = unpack(pack(shot.cameras, shot.lidar_steps, motion_of(scene)), NUPLAN_FRONT_RIG, NUPLAN_LIDAR)
        return replace(scene, observation=replace(scene.observation, cameras=kept.cameras, lidar=kept.lidar))
