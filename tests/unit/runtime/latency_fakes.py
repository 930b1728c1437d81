"""A clock that only engines move, and engines of known cost. No network."""

from __future__ import annotations

import numpy as np
import torch

from diffdrive.runtime import EngineOptions, EngineSpec, StageMark
from diffdrive.runtime.engine import no_mark
from diffdrive.scene import CameraFrame, CameraId, EgoState, LidarSweep, Observation
from diffdrive.tensors import InputLayout, LayerProposals, PlannerInputs, Proposals, SensorTensors

SPEC = EngineSpec(inputs=InputLayout(camera_height=64, camera_width=256, lidar_pixels=64), num_modes=4)


class FakeClock:
    """Stands still unless somebody works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TimedEngine:
    """Takes ``backbone_s`` and ``decoder_s`` of ``clock``; mode m drives at m + 1 m/s, shifted by ``shift``."""

    degraded = ""
    spec = SPEC
    device = torch.device("cpu")

    def __init__(
        self, clock: FakeClock, backbone_s: float = 2.0, decoder_s: float = 1.0, *, name: str = "fake", shift: float = 0.0
    ) -> None:
        self.clock, self.name, self.shift = clock, name, shift
        self.backbone_s, self.decoder_s = backbone_s, decoder_s
        self.description = f"{name}: made for a test"
        self.warm_ups = 0
        self.calls: list[PlannerInputs] = []

    def warm_up(self) -> None:
        self.warm_ups += 1

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        self.calls.append(inputs)
        self.clock.now += self.backbone_s
        mark("backbone")
        self.clock.now += self.decoder_s
        mark("decoder")
        poses = torch.zeros(len(noise), 4, 8, 3)
        poses[..., 0] = torch.arange(1.0, 5.0)[:, None] * torch.arange(1, 9) * 0.5 + self.shift
        return Proposals(passes=((LayerProposals(poses, noise[..., 0, 0] + 2 * self.shift),),))


class SensorTimedEngine(TimedEngine):
    """Takes half a second to copy and a quarter to preprocess, before the rest."""

    def __init__(self, clock: FakeClock, *, batch_size: int = 1) -> None:
        super().__init__(clock, name="fake sensors")
        self.staging = SensorTensors(
            images=torch.zeros(batch_size, 3, 270, 480, 3, dtype=torch.uint8),
            points=torch.zeros(batch_size, 64, 3),
            status=torch.zeros(batch_size, 8),
        )
        self.seen: list[SensorTensors] = []

    def run_sensors(self, sensors: SensorTensors, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        self.seen.append(sensors)
        for stage, seconds in (("copy", 0.5), ("preprocess", 0.25)):
            self.clock.now += seconds
            mark(stage)
        layout = SPEC.inputs
        inputs = PlannerInputs(
            camera=torch.zeros(len(noise), 3, layout.camera_height, layout.camera_width),
            lidar=torch.zeros(len(noise), 1, layout.lidar_pixels, layout.lidar_pixels),
            status=sensors.status,
        )
        return self.run(inputs, noise, mark)


class FailingEngine(TimedEngine):
    """Runs out of memory on every frame."""

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        raise torch.OutOfMemoryError("out of memory")


OPTIONS = EngineOptions()


def small_observations(count: int = 3) -> tuple[Observation, ...]:
    """Frame k drives at k m/s."""
    rng = np.random.default_rng(0)
    frame = CameraFrame(
        image=rng.integers(0, 255, (270, 480, 3), dtype=np.uint8), intrinsics=np.eye(3), ego_from_camera=np.eye(4)
    )
    cameras = dict.fromkeys((CameraId.L0, CameraId.F0, CameraId.R0), frame)
    lidar = LidarSweep(points=rng.uniform(-30, 30, (50, 3)))
    egos = [
        EgoState(timestamp_us=0, pose=np.zeros(3), velocity=np.array([float(k), 0.0]), acceleration=np.zeros(2))
        for k in range(count)
    ]
    return tuple(Observation(ego_history=(ego,), cameras=cameras, lidar=lidar) for ego in egos)
