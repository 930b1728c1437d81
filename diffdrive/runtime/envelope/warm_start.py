"""Begin a plan where the last ones ended, not at the anchors alone.

The last plans are moved by what the vehicle drove since, driven on to the horizon, noised and put in the place of the anchors
next to them. The other anchors stay as they are, so that something new can win. This is the warm start of real-time iteration
(arXiv 2508.05396) for a decoder with anchors. The engine does not change: it is given the noise that leads to such a start.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.diffusion import JumpTable, noise_to_start_at
from diffdrive.model.config import DecoderKind
from diffdrive.runtime.envelope.carrying import PastPlan, driven_on
from diffdrive.runtime.noise import fixed_noise
from diffdrive.scene import DrivingCommand, Trajectory

if TYPE_CHECKING:
    from diffdrive.model import PlannerModel


class StartKind(enum.Enum):
    """Where a plan began. Every value is a sentence."""

    WARM = "It began at the plans before, and at anchors."
    FIRST = "It began at the anchors, because there is no plan before."
    GAP = "It began at the anchors, because the plan before is too old."
    TELEPORT = "It began at the anchors, because the vehicle is not where the plan before led it."
    NEW_COMMAND = "It began at the anchors, because the driving command changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStartConfig:
    """How much of the plans before goes into the next one."""

    num_warm: int = 1
    """So many proposals begin at plans before: the driven one, then those with the highest scores."""

    min_cold: int = 4
    """At least so many begin at anchors."""

    level: int = 8
    """Noise level to which the plans before are noised; 0 hardly moves them."""

    max_gap_s: float = 1.0
    """Seconds; an older plan is not begun at."""

    max_departure_m: float = 1.0
    """Metres between the vehicle and the path of the plan before; farther off, it is not begun at."""

    def __post_init__(self) -> None:
        if self.num_warm < 1 or self.min_cold < 1 or self.level < 0:
            raise InputError(
                "WarmStartConfig needs num_warm and min_cold of at least 1 and a level of at least 0, "
                f"got {self.num_warm}, {self.min_cold} and {self.level}."
            )
        if not (self.max_gap_s > 0 and self.max_departure_m > 0):
            raise InputError(
                "WarmStartConfig needs positive max_gap_s and max_departure_m, "
                f"got {self.max_gap_s} and {self.max_departure_m}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastProposals:
    """The plans of a cycle that planned, the driven one first, the others by falling score."""

    poses: np.ndarray
    """[K, T, 3] in the vehicle's frame of that time."""

    interval_s: float
    odometry_pose: np.ndarray
    """[3] of the vehicle then, in the frame that stands still."""

    stamp_us: int
    command: DrivingCommand

    def __post_init__(self) -> None:
        poses = frozen_array(np.array(self.poses, dtype=np.float64), np.float64)
        Axes("PastProposals").check("poses", poses, "K T 3", finite=True)
        object.__setattr__(self, "poses", poses)

    def plan(self, row: int) -> PastPlan:
        """One of them."""
        trajectory = Trajectory(self.poses[row], interval_s=self.interval_s)
        return PastPlan(trajectory=trajectory, odometry_pose=self.odometry_pose, stamp_us=self.stamp_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a plan begins."""

    kind: StartKind
    noise: np.ndarray
    """[M, T, 2] float32, for ``Planner.plan``."""

    warm_modes: tuple[int, ...] = ()
    """The proposals that begin at plans before, in their order."""


class WarmStart:
    """Makes starts for ``model``, sampled with ``jumps`` (None: the model's own), with the cold noise of ``seed``.

    Raises ``InputError`` for models that do not begin at anchors, and where too few of those would stay cold.
    """

    def __init__(
        self,
        model: PlannerModel,
        config: WarmStartConfig | None = None,
        *,
        jumps: JumpTable | None = None,
        seed: int = 0,
    ) -> None:
        planner = model.config
        if not planner.has_anchors or planner.decoder_kind is DecoderKind.REGRESSION:
            raise InputError("A warm start takes the place of anchors, and this model has none. Plan with it cold.")
        self.config = config or WarmStartConfig()
        if self.config.num_warm + self.config.min_cold > planner.num_modes:
            raise InputError(
                f"num_warm {self.config.num_warm} leaves fewer than min_cold {self.config.min_cold} of the model's "
                f"{planner.num_modes} anchors. Lower num_warm."
            )
        self._schedule, self._normalizer = planner.schedule, planner.normalizer
        self._start_level = (jumps or planner.default_jumps).start_level
        self._anchors = model.anchors.detach().cpu().clone()
        self._cold = fixed_noise((1, *planner.noise_shape), seed)[0]

    @property
    def cold_noise(self) -> np.ndarray:
        """[M, T, 2] of a start at the anchors alone: that of a ``Planner`` with the same seed."""
        return self._cold.numpy().copy()

    def start(self, past: PastProposals | None, odometry_pose: np.ndarray, now_us: int, command: DrivingCommand) -> Start:
        """Where a plan begins that is made at ``now_us`` by a vehicle at ``odometry_pose`` [3] that is told ``command``."""
        kind = self._kind(past, odometry_pose, now_us, command)
        if past is None or kind is not StartKind.WARM:
            return Start(kind=kind, noise=self.cold_noise)
        rows = range(min(self.config.num_warm, len(past.poses)))
        later = [driven_on(past.plan(row), odometry_pose, now_us).poses[:, :2] for row in rows]
        warm = torch.as_tensor(np.stack(later), dtype=torch.float32)
        modes = _nearest_free(warm, self._anchors)
        noise = self._cold.clone()
        begun = self._schedule.add_noise(self._normalizer.normalize(warm), noise[modes], self.config.level)
        anchors = self._normalizer.normalize(self._anchors[modes])
        noise[modes] = noise_to_start_at(begun, anchors, self._start_level, self._schedule)
        return Start(kind=kind, noise=noise.numpy(), warm_modes=tuple(modes))

    def _kind(self, past: PastProposals | None, odometry_pose: np.ndarray, now_us: int, command: DrivingCommand) -> StartKind:
        if past is None:
            return StartKind.FIRST
        driven = past.plan(0)
        if not 0 <= driven.age_s(now_us) <= self.config.max_gap_s:
            return StartKind.GAP
        if driven.departure_m(odometry_pose) > self.config.max_departure_m:
            return StartKind.TELEPORT
        return StartKind.WARM if command is past.command else StartKind.NEW_COMMAND


def _nearest_free(warm: torch.Tensor, anchors: torch.Tensor) -> list[int]:
    """For each of ``warm`` [K, T, 2], in turn, the nearest of ``anchors`` [M, T, 2] that none before it took."""
    distances = (warm[:, None] - anchors).norm(dim=-1).mean(dim=-1)
    taken: list[int] = []
    for row in distances:
        row[taken] = torch.inf
        taken.append(int(row.argmin()))
    return taken
