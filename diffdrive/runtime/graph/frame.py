"""The fixed buffers that one call's inputs pass through: host memory, sensor tensors on the device, network inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.features.inputs.packing import PADDING
from diffdrive.runtime.checks import empty_inputs
from diffdrive.runtime.engine import EngineSpec
from diffdrive.runtime.graph.recorder import Recorder
from diffdrive.tensors import PlannerInputs, SensorTensors


class Frame:
    """Buffers for images of ``image_size`` (rows, columns) and up to ``max_points`` points per scene."""

    def __init__(self, recorder: Recorder, spec: EngineSpec, image_size: tuple[int, int], max_points: int) -> None:
        batch, device = spec.batch_size or 1, recorder.device
        # Buffers made in inference mode could not be written outside of it, where sensors are packed.
        with torch.inference_mode(False):
            self.staging = SensorTensors(
                images=recorder.host((batch, 3, *image_size, 3), torch.uint8),
                points=recorder.host((batch, max_points, 3), torch.float32),
                status=recorder.host((batch, 8), torch.float32),
            )
            self.images = torch.zeros_like(self.staging.images, device=device)
            self.points = torch.zeros_like(self.staging.points, device=device)
            self.inputs, self.noise = empty_inputs(spec, device)
        self.clear()

    def clear(self) -> None:
        """Black images and no points in the staging memory."""
        self.staging.images.zero_()
        self.staging.points.copy_(torch.tensor(PADDING))
        self.staging.status.zero_()

    def check(self, sensors: SensorTensors, noise: Tensor) -> None:
        """Raise ``InputError`` unless ``sensors`` fits and lies in host memory, and ``noise`` fits."""
        if noise.shape != self.noise.shape or noise.dtype != torch.float32:
            raise InputError(
                f"The engine takes noise as float32 of shape {list(self.noise.shape)}, got {noise.dtype} of shape "
                f"{list(noise.shape)}. Draw it in the engine's spec.noise_shape."
            )
        room = self.staging.points.shape[1]
        if sensors.points.shape[1] > room:
            raise InputError(
                f"This engine has room for {room} LiDAR points, got {sensors.points.shape[1]}. "
                f"Build another one with EngineOptions(max_points={sensors.points.shape[1]})."
            )
        for name in ("images", "status"):
            expected, given = getattr(self.staging, name).shape, getattr(sensors, name).shape
            if expected != given:
                raise InputError(
                    f"This engine takes {name} of shape {list(expected)}, got {list(given)}. "
                    "Build another one with the EngineOptions image_size and batch_size that fit."
                )
        for name in ("images", "points", "status"):
            if getattr(sensors, name).device.type != "cpu":
                raise InputError(
                    f"run_sensors takes {name} in host memory, got {getattr(sensors, name).device}. Use run for ready inputs."
                )

    def stage(self, sensors: SensorTensors) -> None:
        """Copy ``sensors`` into the staging memory, unless they were packed there to begin with."""
        count = sensors.points.shape[1]
        for name in ("images", "points", "status"):
            source, room = getattr(sensors, name), getattr(self.staging, name)
            if source.data_ptr() != room.data_ptr():
                (room[:, :count] if name == "points" else room).copy_(source)
        self.staging.points[:, count:] = torch.tensor(PADDING)

    def upload(self) -> None:
        """Queue the way from the staging memory to the device.

        All of it, padding too: 1.5 MB of points at most beside 18.7 MB of images, and a graph's copies have a fixed size.
        """
        self.images.copy_(self.staging.images, non_blocking=True)
        self.points.copy_(self.staging.points, non_blocking=True)
        self.inputs.status.copy_(self.staging.status, non_blocking=True)

    def accept(self, inputs: PlannerInputs) -> None:
        """Queue a copy of ready ``inputs`` into the fixed ones."""
        for name in ("camera", "lidar", "status"):
            getattr(self.inputs, name).copy_(getattr(inputs, name), non_blocking=True)

    def randomise(self, generator: torch.Generator, reach_m: float) -> None:
        """Fill staging memory, inputs and noise with something; ``generator`` lies on the CPU."""

        def uniform(like: Tensor) -> Tensor:
            return torch.rand(like.shape, generator=generator)

        self.staging.images.random_(0, 256, generator=generator)
        self.staging.points.copy_((2.0 * uniform(self.staging.points) - 1.0) * reach_m)
        self.staging.points[:, self.staging.points.shape[1] // 2 :] = torch.tensor(PADDING)
        self.staging.status.copy_(uniform(self.staging.status))
        for like in (self.inputs.camera, self.inputs.lidar, self.inputs.status, self.noise):
            like.copy_(uniform(like))
