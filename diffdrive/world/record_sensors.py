"""Let the world's cameras and LiDAR look along a drive, so that its log holds images and sweeps. Needs the extra ``render``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffdrive.geometry import to_local
from diffdrive.geometry.se2 import rotate
from diffdrive.log123d.write import LogRecord
from diffdrive.log123d.write_sensors import SensorFrame
from diffdrive.scene import Agents, EgoState, Observation, Scene, VectorMap
from diffdrive.world.conditions import conditions_of
from diffdrive.world.render import Studio, Town, build_town, town_seed
from diffdrive.world.render.studio import sweep_errors

SENSOR_INTERVAL_S = 0.5


def with_sensors(record: LogRecord, studio: Studio, town: Town) -> LogRecord:
    """``record`` with three cameras and a sweep every ``SENSOR_INTERVAL_S``: those that a reader of the log would render."""
    times_s = (record.timestamps_us - record.timestamps_us[0]) * 1e-6
    frames = np.searchsorted(times_s, np.arange(0.0, times_s[-1] + 1e-6, SENSOR_INTERVAL_S) - 1e-6)
    light = conditions_of(record.name)
    sensors = {}
    for frame in np.unique(frames[frames < len(times_s)]).tolist():
        scene = scene_at(record, frame)
        shot = studio.shoot(town, scene, sweep_errors(scene), conditions=light)
        sensors[frame] = SensorFrame(cameras=shot.cameras, lidar=shot.lidar)
    return replace(record, sensors=sensors)


def open_town(location: str, vector_map: VectorMap) -> Town:
    """The static world around a drive: the one that a reader of its log would render."""
    return build_town(location, vector_map, seed=town_seed(location))


def scene_at(record: LogRecord, frame: int) -> Scene:
    """What a renderer needs to know of one frame: the ego, everybody else and the lights."""
    pose, agents = record.poses[frame], record.agents[frame]
    ego = EgoState(
        timestamp_us=int(record.timestamps_us[frame]),
        pose=np.zeros(3),
        velocity=record.velocities[frame],
        acceleration=record.accelerations[frame],
        yaw_rate=float(record.yaw_rates[frame]),
    )
    seen = Agents(
        track_tokens=agents.track_tokens,
        kinds=agents.kinds,
        boxes=np.column_stack([to_local(agents.boxes[:, :3], pose), agents.boxes[:, 3:]]),
        vertical=agents.vertical,
        velocities=rotate(agents.velocities, -float(pose[2])),
    )
    return Scene(
        token=f"{record.name}-{frame}",
        log_name=record.name,
        location=record.location,
        world_from_ego=pose,
        observation=Observation(ego_history=(ego,)),
        agents=seen,
        traffic_lights=record.traffic_lights[frame],
    )
