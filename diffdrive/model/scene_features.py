"""What perception hands to the decoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffdrive.tensors import AgentPredictions


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFeatures:
    """One scene, encoded once, denoised against as often as needed. D is ``PlannerConfig.dims``."""

    ego_query: Tensor
    """[B, 1, D]."""

    agent_queries: Tensor
    """[B, A, D] one per agent slot."""

    bev: Tensor
    """[B, D, Hb, Wb] over +-lidar_range_m: row = x from behind to ahead, column = y from right to left."""

    agents: AgentPredictions
    bev_logits: Tensor
    """[B, K, rows, columns] of the BEV target."""
