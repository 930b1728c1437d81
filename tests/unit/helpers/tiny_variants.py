"""The paper's ablations of the tiny planner."""

from __future__ import annotations

from typing import Any

from tiny_planner import TINY_PLANNER

from diffdrive.model import PlannerConfig, planner_config

TINY_VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "regression": {"decoder_kind": "regression", "num_modes": 1},
    "vanilla": {"decoder_kind": "unet", "prior": "noise", "num_train_levels": 1000},
    "truncated": {"decoder_kind": "unet"},
    "truncated, points as they are": {"decoder_kind": "unet", "offsets_from_anchors": False},
    "ego alone": {"spatial_attention": False, "agent_attention": False},
    "spatial alone": {"ego_attention": False, "agent_attention": False},
    "agents alone": {"ego_attention": False, "spatial_attention": False},
    "no agents": {"agent_attention": False},
    "no spatial": {"spatial_attention": False},
    "no ego": {"ego_attention": False},
    "features handed on": {"hands_on_features": True},
    "one layer": {"decoder_layers": 1},
    "four layers, handed on, no ego": {"decoder_layers": 4, "hands_on_features": True, "ego_attention": False},
    "ten anchors": {"num_modes": 10},
    "stretched map": {"bev_head_is_metric": False},
}


def tiny_variant(name: str) -> PlannerConfig:
    return planner_config("nano", {**TINY_PLANNER, **TINY_VARIANTS[name]})
