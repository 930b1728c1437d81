"""A drive of the embedded world with sensors made of random numbers, so that nothing is rendered, and a bridge for it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from diffdrive_agents.ros2.config import DEFAULT_PARAMS, BridgeConfig, config_from_file

from diffdrive.assets import LOGS
from diffdrive.scene import CameraFrame, LidarSweep, Scene
from diffdrive.sources.arrow123d import Arrow123dSource
from diffdrive.world.render import NUPLAN_FRONT_RIG

LOG = "town9000-log01"
INTERVAL_S = 0.1


class Drive:
    """Scenes a tenth of a second apart. Images of one moment are the same whatever the history of its scene."""

    def __init__(self, *, history_s: float = 0.0) -> None:
        self._source = Arrow123dSource(
            LOGS, logs=[LOG], history_s=history_s, future_s=0.0, stride_s=INTERVAL_S, map_radius_m=1.0
        )

    @property
    def tokens(self) -> Sequence[str]:
        return self._source.tokens

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        scene = self._source.load(token, sensors=False)
        return replace(scene, observation=replace(scene.observation, **_sensors(token))) if sensors else scene


@cache
def _sensors(token: str) -> dict[str, object]:
    rng = np.random.default_rng(zlib.crc32(token.encode()))
    cameras = {
        camera.camera_id: CameraFrame(
            image=rng.integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8),
            intrinsics=camera.intrinsics,
            ego_from_camera=camera.ego_from_camera,
        )
        for camera in NUPLAN_FRONT_RIG
    }
    points = rng.uniform((-30.0, -30.0, 0.0), (30.0, 30.0, 4.0), (3000, 3)).astype(np.float32)
    return {"cameras": cameras, "lidar": LidarSweep(points=points)}


def config(*overrides: str) -> BridgeConfig:
    """The defaults, with as much time to plan as it takes."""
    return config_from_file(DEFAULT_PARAMS, ("envelope.deadline_s=30", *overrides))


def raw(*overrides: str) -> BridgeConfig:
    """Likewise with images that are not compressed."""
    return config(*(f"inputs.cameras.{name}.is_compressed=false" for name in ("l0", "f0", "r0")), *overrides)
