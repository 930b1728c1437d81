"""What training compares the network with, built from a ``Scene``: the driven future, the vehicles, the semantic map."""

from __future__ import annotations

from diffdrive.features.targets.agents import build_agents
from diffdrive.features.targets.bev_semantics import BevClass, build_bev_semantic
from diffdrive.features.targets.trajectory import driven_trajectory
from diffdrive.scene import Scene
from diffdrive.tensors import PlannerTargets, TargetLayout

__all__ = ["BevClass", "build_agents", "build_bev_semantic", "build_targets", "driven_trajectory"]


def build_targets(scene: Scene, layout: TargetLayout) -> PlannerTargets:
    """The targets of one scene: batch size 1, on the CPU.

    Raises ``InputError`` where the scene has no future, or one too short or too coarse for the layout.
    """
    states, labels = build_agents(scene.agents, layout)
    return PlannerTargets(
        trajectory=driven_trajectory(scene, layout)[None],
        agent_states=states[None],
        agent_labels=labels[None],
        bev_semantic=build_bev_semantic(scene, layout)[None],
    )
