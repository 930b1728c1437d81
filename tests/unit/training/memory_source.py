"""A few random scenes in memory, with every modality that training needs."""

from __future__ import annotations

import numpy as np

from diffdrive.contracts import InputError
from diffdrive.scene import (
    AgentKind,
    Agents,
    CameraFrame,
    CameraId,
    DrivingCommand,
    EgoState,
    Future,
    LidarSweep,
    Modality,
    Observation,
    Scene,
    Trajectory,
)

NUM_TOWNS = 4


class MemorySource:
    """Scene ``i`` is a function of ``i`` alone; its town is ``i`` modulo ``NUM_TOWNS``."""

    name = "memory"
    modalities = frozenset({Modality.CAMERAS, Modality.LIDAR, Modality.AGENTS, Modality.FUTURE})

    def __init__(self, num_scenes: int = 8, broken: tuple[str, ...] = ()) -> None:
        self.tokens = tuple(f"scene-{i:03d}" for i in range(num_scenes))
        self.broken = broken
        self.loads = 0

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        self.loads += 1
        if token in self.broken:
            raise InputError("its image is damaged.")
        return make_scene(self.tokens.index(token))


def open_memory_source() -> MemorySource:
    return MemorySource(70)


def camera_pose(yaw: float) -> np.ndarray:
    """[4, 4] ego from camera, looking level along ``yaw`` from above the bonnet."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[s, 0, c, 1.5], [-c, 0, s, 0.4 * yaw], [0, -1, 0, 1.6], [0, 0, 0, 1]])


def make_scene(index: int) -> Scene:
    rng = np.random.default_rng(index)
    speed = rng.uniform(2.0, 10.0)
    bend = rng.uniform(-0.02, 0.02)
    times = np.arange(1, 9) * 0.5
    heading = bend * speed * times
    poses = np.stack([speed * times, 0.5 * bend * (speed * times) ** 2, heading], axis=1)
    count = int(rng.integers(1, 5))
    agents = Agents(
        track_tokens=tuple(f"a{i}" for i in range(count)),
        kinds=(AgentKind.VEHICLE,) * count,
        boxes=np.column_stack(
            [
                rng.uniform(-25, 25, count),
                rng.uniform(-25, 25, count),
                rng.uniform(-3, 3, count),
                np.full(count, 4.5),
                np.full(count, 1.9),
            ]
        ),
        vertical=np.tile([0.8, 1.6], (count, 1)),
        velocities=rng.normal(0, 3, (count, 2)),
    )
    cameras = {
        name: CameraFrame(
            image=rng.integers(0, 256, (270, 480, 3), dtype=np.uint8),
            intrinsics=np.array([[300.0, 0, 238], [0, 310, 137], [0, 0, 1]]),
            ego_from_camera=camera_pose(yaw),
        )
        for name, yaw in ((CameraId.L0, 0.9), (CameraId.F0, 0.0), (CameraId.R0, -0.9))
    }
    observation = Observation(
        ego_history=(
            EgoState(timestamp_us=index, pose=np.zeros(3), velocity=np.array([speed, 0.1]), acceleration=rng.normal(0, 1, 2)),
        ),
        command=DrivingCommand(int(rng.integers(0, 4))),
        cameras=cameras,
        lidar=LidarSweep(points=rng.uniform([-32, -32, 0], [32, 32, 3], (500, 3)).astype(np.float32)),
    )
    return Scene(
        token=f"scene-{index:03d}",
        log_name="memory",
        location=f"town-{index % NUM_TOWNS}",
        world_from_ego=np.zeros(3),
        observation=observation,
        agents=agents,
        future=Future(ego=Trajectory(poses), agents=(agents,) * 8),
    )
