"""How a planner runs its network: one small protocol, so that faster engines can take the plain one's place."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from diffdrive.contracts import InputError
from diffdrive.diffusion import JumpTable
from diffdrive.tensors import InputLayout, PlannerInputs, Proposals, SensorTensors

if TYPE_CHECKING:
    import torch

    from diffdrive.model import PlannerConfig


class Precision(enum.Enum):
    """Number format of the network's matrix products. Points, embeddings of points and the sampler stay in float32."""

    FLOAT32 = "fp32"
    BFLOAT16 = "bf16"
    FLOAT16 = "fp16"

    @property
    def dtype(self) -> torch.dtype:
        """The torch type."""
        import torch

        return {Precision.FLOAT32: torch.float32, Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What can be asked of any engine."""

    jumps: JumpTable | None = None
    """How the planner samples; None: as its configuration says (``PlannerConfig.default_jumps``)."""

    device: str = "cpu"
    precision: Precision = Precision.FLOAT32
    batch_size: int = 1
    """Scenes per call. Engines with buffers or kernels of fixed size accept no other number."""

    wants_agents: bool = False
    """Also compute the agent boxes."""

    wants_bev: bool = False
    """Also compute the BEV semantics."""

    image_size: tuple[int, int] = (1080, 1920)
    """Rows and columns of each camera image, for engines that preprocess on their own device."""

    max_points: int = 131_072
    """LiDAR points such an engine has room for; of a longer sweep nothing is dropped silently: it is an error."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.max_points < 1:
            raise InputError(
                f"EngineOptions needs batch_size and max_points of at least 1, got {self.batch_size} and {self.max_points}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """The sizes an engine is built for."""

    inputs: InputLayout = field(default_factory=InputLayout)
    num_modes: int = 20
    num_poses: int = 8
    interval_s: float = 0.5
    batch_size: int | None = None
    """Scenes per call; None where any number will do."""

    def __post_init__(self) -> None:
        if min(self.num_modes, self.num_poses) < 1 or not self.interval_s > 0:
            raise InputError(
                f"EngineSpec needs at least one mode, one pose and a positive interval, got "
                f"{self.num_modes}, {self.num_poses} and {self.interval_s} s."
            )

    @classmethod
    def of(cls, config: PlannerConfig, batch_size: int | None = None) -> EngineSpec:
        """The spec of an engine for a network of ``config``."""
        targets = config.targets
        return cls(
            inputs=config.inputs,
            num_modes=config.num_modes,
            num_poses=targets.num_poses,
            interval_s=targets.interval_s,
            batch_size=batch_size,
        )

    @property
    def noise_shape(self) -> tuple[int, int, int, int]:
        """[B, M, T, 2] of the noise for one call (B = 1 where any number will do)."""
        return (self.batch_size or 1, self.num_modes, self.num_poses, 2)


StageMark = Callable[[str], None]
"""Told the name of a stage when all work that was given to the device up to the stage's end has been handed over."""


def no_mark(stage: str) -> None:
    """For callers that do not time stages."""


@runtime_checkable
class Engine(Protocol):
    """Runs the network. Same inputs and noise, same proposals: an engine holds no random numbers.

    What it returns may lie in buffers that the next call overwrites: copy what must last.
    """

    @property
    def name(self) -> str:
        """A short name for logs and tables, for example ``plain``."""

    @property
    def description(self) -> str:
        """One line for reports: network, number format, device."""

    @property
    def degraded(self) -> str:
        """Why it does not run as it was asked to (no compiler, capture failed), a sentence; empty when it does."""

    @property
    def spec(self) -> EngineSpec:
        """The sizes it accepts and returns."""

    @property
    def device(self) -> torch.device:
        """Where inputs and noise must be."""

    def warm_up(self) -> None:
        """Do now what would make the first call slow (allocation, compilation, capture)."""

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan a batch. ``noise`` [B, M, T, 2] is standard normal; everything is on ``device``.

        ``mark`` hears ``"backbone"`` and ``"decoder"``, or ``"network"`` where the two cannot be told apart.
        """


@runtime_checkable
class SensorEngine(Engine, Protocol):
    """An engine that preprocesses on its own device."""

    @property
    def staging(self) -> SensorTensors:
        """Host memory of the sizes that ``run_sensors`` takes, pinned on a GPU.

        Fill it (``pack_sensors`` with ``out``) and pass it to ``run_sensors``: the images are then not copied twice.
        """

    def run_sensors(self, sensors: SensorTensors, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan from what the sensors delivered. ``sensors`` is in host memory, ``noise`` on ``device``.

        ``mark`` also hears ``"copy"`` and ``"preprocess"``, before the others.
        """
