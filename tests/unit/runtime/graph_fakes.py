"""A recorder without a GPU whose recordings can be made to go wrong, and a network of almost nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext

import torch

from diffdrive.diffusion import CLEAN, JumpTable
from diffdrive.model import EncoderConfig, PlannerConfig, PlannerModel, nano
from diffdrive.runtime import EngineOptions
from diffdrive.tensors import InputLayout, PlannerInputs, SensorTensors, TargetLayout

IMAGE_SIZE = (270, 480)
MAX_POINTS = 600
OPTIONS = EngineOptions(image_size=IMAGE_SIZE, max_points=MAX_POINTS)

Work = Callable[[], None]


class FakeRecorder:
    """A recording is the work itself, unless ``bend`` makes something else of it."""

    device = torch.device("cpu")

    def __init__(self, bend: Callable[[Work], Work] = lambda work: work) -> None:
        self.bend = bend
        self.num_captures = 0
        self.num_replays = 0
        self.num_waits = 0
        self.num_hosts = 0

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        self.num_hosts += 1
        return torch.zeros(shape, dtype=dtype)

    def ordered(self) -> nullcontext:
        return nullcontext()

    def capture(self, work: Work) -> Work:
        work()
        self.num_captures += 1
        bent = self.bend(work)

        def replay() -> None:
            self.num_replays += 1
            bent()

        return replay

    def synchronize(self) -> None:
        self.num_waits += 1


def tiny_config() -> PlannerConfig:
    encoder = EncoderConfig(name="resnet10t", channels=(8, 8, 16, 16), stem_width=4)
    return dataclasses.replace(
        nano(),
        inputs=InputLayout(camera_height=32, camera_width=128, lidar_pixels=32),
        targets=TargetLayout(bev_rows=8, bev_columns=16, bev_pixel_m=4.0, num_agents=3),
        num_modes=4,
        image_encoder=encoder,
        lidar_encoder=encoder,
        fusion_layers=1,
        fusion_heads=2,
        bev_channels=8,
        dims=16,
        heads=2,
        ffn_dims=16,
        query_layers=1,
        decoder_layers=1,
        point_dims=8,
    )


def one_pass() -> JumpTable:
    return JumpTable(start_level=8, jumps=((8, CLEAN),), clips_prediction=False)


def tiny_model(seed: int = 0) -> PlannerModel:
    """Always the same network for one seed; leaves the global generator alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = tiny_config()
        return PlannerModel(config, torch.rand(config.anchor_shape) * 10.0)


def some_sensors(seed: int, batch_size: int = 1, num_points: int = 500) -> SensorTensors:
    generator = torch.Generator().manual_seed(seed)
    return SensorTensors(
        images=torch.randint(0, 256, (batch_size, 3, *IMAGE_SIZE, 3), dtype=torch.uint8, generator=generator),
        points=torch.rand(batch_size, num_points, 3, generator=generator) * 30.0,
        status=torch.rand(batch_size, 8, generator=generator),
    )


def some_inputs(seed: int, config: PlannerConfig, batch_size: int = 1) -> PlannerInputs:
    generator = torch.Generator().manual_seed(seed)
    layout = config.inputs
    return PlannerInputs(
        camera=torch.rand(batch_size, 3, layout.camera_height, layout.camera_width, generator=generator),
        lidar=torch.rand(batch_size, 1, layout.lidar_pixels, layout.lidar_pixels, generator=generator),
        status=torch.rand(batch_size, 8, generator=generator),
    )


def some_noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
