"""What the planner answers for one observation: a trajectory, every proposal, and how it went. Plain numpy values."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from diffdrive.contracts import Axes, InputError, frozen_array
from diffdrive.scene import Trajectory


class PlanStatus(enum.Enum):
    """How a plan came about. Every value is a sentence that can be shown to a person as it is."""

    PLANNED = "The network planned this trajectory."
    PLANNED_DEGRADED = "The network planned this trajectory, but its engine does not run as it was asked to."
    PLANNED_BY_SPARE = "The spare engine planned this trajectory, because the first one fails."
    CAMERA_MISSING = "A camera image that the network needs is missing, so the plan is a comfortable stop."
    LIDAR_MISSING = "There is no LiDAR sweep, so the plan is a comfortable stop."
    SENSOR_UNREADABLE = "The sensor data cannot be turned into network inputs, so the plan is a comfortable stop."
    INPUT_NOT_FINITE = "The inputs contain NaN or infinite values, so the plan is a comfortable stop."
    NETWORK_FAILED = "The network stopped with an error, so the plan is a comfortable stop."
    OUTPUT_MALFORMED = "The network's answer does not have the shape that was promised, so the plan is a comfortable stop."
    OUTPUT_NOT_FINITE = "The network answered with NaN or infinite values, so the plan is a comfortable stop."

    @property
    def is_planned(self) -> bool:
        """True when a network planned; False when the trajectory is the fallback."""
        return self in (PlanStatus.PLANNED, PlanStatus.PLANNED_DEGRADED, PlanStatus.PLANNED_BY_SPARE)

    @property
    def is_engine_failure(self) -> bool:
        """True when the sensors were fine and the engine was not: another engine may know better."""
        return self in (PlanStatus.NETWORK_FAILED, PlanStatus.OUTPUT_MALFORMED, PlanStatus.OUTPUT_NOT_FINITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTiming:
    """Seconds on the planner's clock, stage by stage; a stage that was not reached took 0.

    Where a spare engine was asked too, the stages are its own, and only ``total_s`` holds the first engine's time.
    """

    features_s: float = 0.0
    """Observation to what the engine takes: input tensors on its device, or packed sensor tensors in its host memory."""

    network_s: float = 0.0
    """From there to proposals in host memory, so that work queued on a device is inside the bracket. Includes the
    preprocessing of an engine that does it itself."""

    selection_s: float = 0.0
    """Scores, choice and checks."""

    total_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One plan, in the ego frame at t = 0 (metres, radians). Holds copies of the arrays it is given."""

    trajectory: Trajectory
    """What to drive: the proposal with the highest score, or the fallback (see ``status``)."""

    proposals: np.ndarray
    """[M, T, 3] every mode's poses; no rows when the network did not answer."""

    scores: np.ndarray
    """[M] softmax of the network's logits over the modes: they sum to one."""

    status: PlanStatus
    detail: str = ""
    """What exactly went wrong, or how the engine is degraded; empty when all is as it should be."""

    timing: PlanTiming = PlanTiming()

    def __post_init__(self) -> None:
        axes = Axes("Plan")
        for name, contract in (("proposals", "M T 3"), ("scores", "M")):
            # Copied, because an engine may overwrite its buffers while the plan is still driven.
            array = frozen_array(np.array(getattr(self, name), dtype=np.float64), np.float64)
            axes.check(name, array, contract, finite=True)
            object.__setattr__(self, name, array)
        if axes.sizes["T"] != self.trajectory.num_poses:
            raise InputError(
                f"Plan.proposals must have as many poses as its trajectory ({self.trajectory.num_poses}), "
                f"got {axes.sizes['T']}."
            )
        if self.status.is_planned and not len(self.scores):
            raise InputError(f"Plan.status is {self.status.name}, which needs at least one proposal, got none.")

    @property
    def chosen(self) -> int | None:
        """Index of the chosen mode, or None when the trajectory is the fallback."""
        return int(self.scores.argmax()) if self.status.is_planned else None
