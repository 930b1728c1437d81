"""The network's contract: what goes in, what comes out, and the axis legend. Tensors only.

Axes
    B batch | M modes (one per anchor) | T future poses | A agent slots | C channels | H, W rows and columns
Frames and units
    ego frame at t = 0 (origin at the rear axle, x forward, y left, heading counter-clockwise), metres, radians, m/s, m/s^2
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from diffdrive.contracts import Axes, InputError

BEV_IGNORED = 255
"""In place of a class: nobody knows what is in this cell of ``PlannerTargets.bev_semantic``, so it counts for no loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLayout:
    """Size and meaning of the input tensors. The feature builders and the network are built from the same layout."""

    camera_height: int = 256
    camera_width: int = 1024
    """Of the three stitched images together; always four times the height."""

    lidar_pixels: int = 256
    """Rows and columns of the square LiDAR histogram."""

    lidar_range_m: float = 32.0
    """The histogram covers x and y from -range to +range."""

    lidar_min_height_m: float = 0.2
    """Points at or below this height are ground."""

    lidar_max_height_m: float = 100.0
    lidar_max_count: int = 5
    """Counts are clipped here, then divided by it."""

    def __post_init__(self) -> None:
        if self.camera_width != 4 * self.camera_height or self.camera_height % 32:
            raise InputError(
                f"InputLayout: the stitched image is 4:1 and its height a multiple of 32, "
                f"got {self.camera_width} x {self.camera_height}."
            )
        if self.lidar_pixels % 32 or not self.lidar_range_m > 0:
            raise InputError(
                f"InputLayout: lidar_pixels must be a multiple of 32 and lidar_range_m positive, "
                f"got {self.lidar_pixels} and {self.lidar_range_m}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLayout:
    """Size and meaning of the targets (and of what the heads predict)."""

    num_poses: int = 8
    interval_s: float = 0.5
    num_agents: int = 30
    agent_range_m: float = 32.0
    """Vehicles count as targets where |x| and |y| are within this range."""

    bev_rows: int = 128
    bev_columns: int = 256
    bev_pixel_m: float = 0.25
    """Edge of a cell: row i begins at x = i bev_pixel_m, column j at y = (j - bev_columns / 2) bev_pixel_m."""

    bev_classes: int = 7
    """0 nothing, 1 road, 2 walkway, 3 centreline, 4 static object, 5 vehicle, 6 pedestrian."""

    @property
    def horizon_s(self) -> float:
        """Time of the last pose, seconds."""
        return self.num_poses * self.interval_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerInputs:
    """What the network sees."""

    camera: Tensor
    """[B, 3, H, W] float, 0..1: left-front, front and right-front image side by side, RGB."""

    lidar: Tensor
    """[B, C, Hl, Wl] float, 0..1: point counts per cell above the ground; row = x from behind to ahead, column = y from
    right to left."""

    status: Tensor
    """[B, 8] float: one-hot command (left, straight, right, unknown), vx, vy (m/s), ax, ay (m/s^2)."""

    def __post_init__(self) -> None:
        axes = Axes("PlannerInputs")
        axes.check("camera", self.camera, "B 3 H W")
        axes.check("lidar", self.lidar, "B C Hl Wl")
        axes.check("status", self.status, "B 8")

    @property
    def batch_size(self) -> int:
        return int(self.status.shape[0])

    def to(self, *args: Any, **kwargs: Any) -> PlannerInputs:
        """Move or cast every tensor (arguments as for ``Tensor.to``)."""
        return _map(self, lambda tensor: tensor.to(*args, **kwargs))


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorTensors:
    """What the sensors deliver, before any preprocessing: for engines that preprocess on their own device."""

    images: Tensor
    """[B, 3, Hc, Wc, 3] uint8: left-front, front and right-front image, rows, columns, RGB."""

    points: Tensor
    """[B, N, 3] float32: LiDAR x, y, z in the ego frame, metres. Rows with z = -inf are padding and count for nothing."""

    status: Tensor
    """[B, 8] float32, as in ``PlannerInputs``."""

    def __post_init__(self) -> None:
        axes = Axes("SensorTensors")
        axes.check("images", self.images, "B 3 Hc Wc 3")
        axes.check("points", self.points, "B N 3")
        axes.check("status", self.status, "B 8")
        for name, dtype in (("images", torch.uint8), ("points", torch.float32), ("status", torch.float32)):
            if getattr(self, name).dtype != dtype:
                raise InputError(f"SensorTensors.{name} must be {dtype}, got {getattr(self, name).dtype}.")

    @property
    def batch_size(self) -> int:
        return int(self.status.shape[0])

    def to(self, *args: Any, **kwargs: Any) -> SensorTensors:
        """Move every tensor (arguments as for ``Tensor.to``)."""
        return _map(self, lambda tensor: tensor.to(*args, **kwargs))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerTargets:
    """What training compares with."""

    trajectory: Tensor
    """[B, T, 3] the driven poses."""

    agent_states: Tensor
    """[B, A, 5] x, y, heading, length, width of the nearest vehicles, zero-padded."""

    agent_labels: Tensor
    """[B, A] bool: which rows of ``agent_states`` are real."""

    bev_semantic: Tensor
    """[B, Hb, Wb] int64 class per cell, or ``BEV_IGNORED``: row = x ahead from 0, column = y from right to left."""

    def __post_init__(self) -> None:
        axes = Axes("PlannerTargets")
        axes.check("trajectory", self.trajectory, "B T 3")
        axes.check("agent_states", self.agent_states, "B A 5")
        axes.check("agent_labels", self.agent_labels, "B A")
        axes.check("bev_semantic", self.bev_semantic, "B Hb Wb")

    def to(self, device: torch.device | str) -> PlannerTargets:
        """Move every tensor to ``device``."""
        return _map(self, lambda tensor: tensor.to(device))


@dataclass(frozen=True, slots=True)
class LayerProposals:
    """What one decoder layer offers in one denoising pass."""

    poses: Tensor
    """[B, M, T, 3]."""

    logits: Tensor
    """[B, M]: the higher, the likelier."""


@dataclass(frozen=True, slots=True)
class AgentPredictions:
    """Vehicles the perception heads see."""

    states: Tensor
    """[B, A, 5] x, y, heading, length, width."""

    logits: Tensor
    """[B, A]: is there a vehicle in this slot?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """What the planner offers: one trajectory and one score per mode, and every step on the way there."""

    passes: tuple[tuple[LayerProposals, ...], ...]
    """One entry per denoising pass, each with one entry per decoder layer."""

    agents: AgentPredictions | None = None
    """None where the engine was not asked for them."""

    bev_logits: Tensor | None = None
    """[B, K, Hb, Wb] one logit per class and cell; None likewise."""

    def __post_init__(self) -> None:
        if not self.passes or not self.passes[-1]:
            raise InputError("Proposals needs at least one pass with at least one layer.")
        axes = Axes("Proposals")
        axes.check("poses", self.poses, "B M T 3")
        axes.check("logits", self.logits, "B M")

    @property
    def poses(self) -> Tensor:
        """[B, M, T, 3] of the last layer of the last pass: the result."""
        return self.passes[-1][-1].poses

    @property
    def logits(self) -> Tensor:
        """[B, M] likewise."""
        return self.passes[-1][-1].logits

    @property
    def best(self) -> Tensor:
        """[B, T, 3] the pose sequence with the highest logit."""
        index = self.logits.argmax(dim=1)
        return self.poses[torch.arange(len(index), device=index.device), index]


def collate(items: list[Any]) -> Any:
    """Join single-scene ``PlannerInputs`` or ``PlannerTargets`` (batch 1 each) into one batch."""
    first = items[0]
    return type(first)(**{f.name: torch.cat([getattr(item, f.name) for item in items]) for f in fields(first)})


def _map(value: Any, function: Any) -> Any:
    return replace(value, **{f.name: function(getattr(value, f.name)) for f in fields(value)})
