"""PDM-Closed (Dauner et al. 2023, arXiv 2306.07962), the rule-based planner whose progress is the score's yardstick."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffdrive.geometry import to_local
from diffdrive.scene import Trajectory
from diffdrive.scoring.rules import INTERVAL_S
from diffdrive.scoring.scoring_scene import ScoringScene
from diffdrive.tensors import TargetLayout


@dataclass(frozen=True, slots=True)
class PdmClosed:
    """The reference of a prepared scene as a trajectory.

    Privileged: it knows every road user's true box, the map and the score itself, and it exists only after preparation. It
    is no planner that a car could run on its sensors.
    """

    layout: TargetLayout = field(default_factory=TargetLayout)
    name: str = "pdm_closed"

    def plan_prepared(self, scene: ScoringScene) -> Trajectory:
        """Its poses at the layout's times, in the ego frame. Raises ``InputError`` for times that it does not have."""
        poses = to_local(scene.reference, scene.ego_state[:3])[1:]
        return Trajectory(poses, INTERVAL_S).thinned(self.layout.num_poses, self.layout.interval_s)
