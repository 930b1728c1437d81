"""Plan in a vehicle or a simulator: an engine runs the network, a planner turns observations into plans.

Needs torch, timm and numpy, and nothing of the training or data tools.
"""

from diffdrive.runtime.choice import EngineChoice
from diffdrive.runtime.engine import Engine, EngineOptions, EngineSpec, Precision, SensorEngine, StageMark
from diffdrive.runtime.engines import ENGINES, make_engine
from diffdrive.runtime.fallback import comfortable_stop
from diffdrive.runtime.plain import PlainEngine
from diffdrive.runtime.plan import Plan, PlanStatus, PlanTiming
from diffdrive.runtime.planner import Planner

__all__ = [
    "ENGINES",
    "Engine",
    "EngineChoice",
    "EngineOptions",
    "EngineSpec",
    "PlainEngine",
    "Plan",
    "PlanStatus",
    "PlanTiming",
    "Planner",
    "Precision",
    "SensorEngine",
    "StageMark",
    "comfortable_stop",
    "make_engine",
]
