"""Simple planners to measure against. None of them looks at a camera or a LiDAR.

A planner sees an ``Observation`` and nothing else. The human is no planner: it needs the whole ``Scene``, so it has a
protocol of its own and cannot be passed where a planner is expected.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from diffdrive.baselines.constant_turn_rate import ConstantTurnRate
from diffdrive.baselines.constant_velocity import ConstantVelocity
from diffdrive.baselines.ego_status_mlp import EgoStatusMLP, EgoStatusMLPConfig
from diffdrive.baselines.human import Human
from diffdrive.scene import Observation, Scene, Trajectory

__all__ = [
    "Baseline",
    "ConstantTurnRate",
    "ConstantVelocity",
    "EgoStatusMLP",
    "EgoStatusMLPConfig",
    "Human",
    "SceneBaseline",
]


@runtime_checkable
class Baseline(Protocol):
    """A planner without a network worth the name."""

    @property
    def name(self) -> str:
        """For tables and legends."""

    def plan(self, observation: Observation) -> Trajectory:
        """Where the rear axle shall be, in the ego frame at t = 0."""


@runtime_checkable
class SceneBaseline(Protocol):
    """A trajectory that can only be known afterwards: a bound to compare with, never a planner."""

    @property
    def name(self) -> str:
        """For tables and legends."""

    def plan_scene(self, scene: Scene) -> Trajectory:
        """Raises ``InputError`` where the scene does not hold what is needed."""
