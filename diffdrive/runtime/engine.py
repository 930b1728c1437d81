"""How a planner runs its network: one small protocol, so that faster engines can take the plain one's place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from diffdrive.contracts import InputError
from diffdrive.tensors import InputLayout, PlannerInputs, Proposals

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """The sizes an engine is built for."""

    inputs: InputLayout = field(default_factory=InputLayout)
    num_modes: int = 20
    num_poses: int = 8
    interval_s: float = 0.5

    def __post_init__(self) -> None:
        if min(self.num_modes, self.num_poses) < 1 or not self.interval_s > 0:
            raise InputError(
                f"EngineSpec needs at least one mode, one pose and a positive interval, got "
                f"{self.num_modes}, {self.num_poses} and {self.interval_s} s."
            )

    @property
    def noise_shape(self) -> tuple[int, int, int, int]:
        """[B = 1, M, T, 2] of the noise for one scene."""
        return (1, self.num_modes, self.num_poses, 2)


@runtime_checkable
class Engine(Protocol):
    """Runs the network. Same inputs and noise, same proposals: an engine holds no random numbers."""

    @property
    def name(self) -> str:
        """A short name for logs and tables, for example ``plain``."""

    @property
    def description(self) -> str:
        """One line for reports: network, number format, device."""

    @property
    def spec(self) -> EngineSpec:
        """The sizes it accepts and returns."""

    @property
    def device(self) -> torch.device:
        """Where inputs and noise must be."""

    def warm_up(self) -> None:
        """Do now what would make the first call slow (allocation, compilation, capture)."""

    def run(self, inputs: PlannerInputs, noise: torch.Tensor) -> Proposals:
        """Plan a batch. ``noise`` [B, M, T, 2] is standard normal; everything is on ``device``."""
