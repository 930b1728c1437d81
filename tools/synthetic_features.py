"""Scenes of any number from a seed, with camera images and a LiDAR sweep of real size: for timing caches and loaders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

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

OCTAVES, GRAIN = 7, 2.0
INTERVAL_S, NUM_POSES = 0.5, 8
NUM_AGENTS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSource:
    """A ``SceneSource``: scene i is a function of i and of the sizes alone.

    Images have the spectrum of pictures (each octave half as strong as the one below it) and a sensor's grain of two grey
    levels, so that they compress as photographs do, not as noise.
    """

    num_scenes: int
    height: int = 540
    width: int = 960
    """Twice what the base planner sees of an image, as 1080p is four times: smaller is quicker to make."""

    num_points: int = 100_000

    @property
    def name(self) -> str:
        return f"synthetic {self.num_scenes} {self.width} x {self.height}"

    @property
    def modalities(self) -> frozenset[Modality]:
        return frozenset({Modality.CAMERAS, Modality.LIDAR, Modality.AGENTS, Modality.FUTURE})

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(f"synthetic-{index:05d}" for index in range(self.num_scenes))

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        index = int(token.rpartition("-")[2])
        rng = np.random.default_rng(index)
        speed, bend = rng.uniform(2, 12), rng.uniform(-0.02, 0.02)
        along = speed * INTERVAL_S * np.arange(1, NUM_POSES + 1)
        driven = Trajectory(np.stack([along, 0.5 * bend * along**2, bend * along], axis=1))
        agents = _agents(rng)
        ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.array([speed, 0.0]), acceleration=np.zeros(2))
        observation = Observation(
            ego_history=(ego,),
            command=DrivingCommand(int(rng.integers(0, 3))),
            cameras={camera: self._camera(rng) for camera in (CameraId.L0, CameraId.F0, CameraId.R0)} if sensors else {},
            lidar=self._sweep(rng) if sensors else None,
        )
        return Scene(
            token=token,
            log_name=f"log-{index % 10}",
            location=f"place-{index % 10}",
            world_from_ego=np.zeros(3),
            observation=observation,
            agents=agents,
            future=Future(ego=driven, agents=(agents,) * NUM_POSES),
        )

    def _camera(self, rng: np.random.Generator) -> CameraFrame:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        image = torch.full((1, 3, self.height, self.width), 110.0)
        for octave in range(OCTAVES):
            size = (1, 3, 2 + self.height >> (OCTAVES - octave), 2 + self.width >> (OCTAVES - octave))
            coarse = torch.randn(size, generator=generator) * (40.0 / 2**octave)
            image += torch.nn.functional.interpolate(coarse, (self.height, self.width), mode="bilinear", align_corners=False)
        image += GRAIN * torch.randn(image.shape, generator=generator)
        pixels = image.clamp_(0, 255).to(torch.uint8)[0].permute(1, 2, 0).contiguous().numpy()
        focal = 0.8 * self.width
        intrinsics = np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])
        return CameraFrame(image=pixels, intrinsics=intrinsics, ego_from_camera=np.eye(4))

    def _sweep(self, rng: np.random.Generator) -> LidarSweep:
        across = rng.normal(0, 18, (self.num_points, 2))
        return LidarSweep(points=np.column_stack([across, rng.uniform(-1, 3, self.num_points)]).astype(np.float32))


def _agents(rng: np.random.Generator) -> Agents:
    places = np.column_stack([rng.uniform(-30, 30, (NUM_AGENTS, 2)), rng.uniform(-3, 3, NUM_AGENTS)])
    return Agents(
        track_tokens=tuple(f"a{i}" for i in range(NUM_AGENTS)),
        kinds=(AgentKind.VEHICLE,) * NUM_AGENTS,
        boxes=np.column_stack([places, np.full(NUM_AGENTS, 4.5), np.full(NUM_AGENTS, 1.9)]),
        vertical=np.tile([0.8, 1.6], (NUM_AGENTS, 1)),
        velocities=rng.normal(0, 3, (NUM_AGENTS, 2)),
    )
