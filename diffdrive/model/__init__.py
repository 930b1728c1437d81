"""The network: sensor tensors and noise in, every proposal out. Start reading at ``planner.py``."""

from diffdrive.model.config import PLANNERS, DecoderKind, EncoderConfig, PlannerConfig, Prior, base, nano, planner_config
from diffdrive.model.planner import PlannerModel
from diffdrive.model.scene_features import SceneFeatures

__all__ = [
    "PLANNERS",
    "DecoderKind",
    "EncoderConfig",
    "PlannerConfig",
    "PlannerModel",
    "Prior",
    "SceneFeatures",
    "base",
    "nano",
    "planner_config",
]
