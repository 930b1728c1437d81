"""What stands between a planner and a vehicle.

inputs -> admit (young, alive, of one moment?) -> planner -> decide (drivable? consistent? else the next best) -> decision

``SafePlanner`` does a whole cycle. ``admit`` and ``decide`` are pure functions of inputs, clock and memory.
"""

from diffdrive.runtime.envelope.admission import Admission, HeldInputs, InputPolicy, admit
from diffdrive.runtime.envelope.carrying import PastPlan, driven_on, retimed, stop_along
from diffdrive.runtime.envelope.config import Braking, EnvelopeConfig, load_envelope_config
from diffdrive.runtime.envelope.counters import EnvelopeCounters
from diffdrive.runtime.envelope.decision import Cycle, Decision, DecisionMemory, DecisionStatus, decide
from diffdrive.runtime.envelope.feasibility import Feasibility, KinematicLimits, Violation, check_proposals
from diffdrive.runtime.envelope.freshness import Held, InputCondition, InputLimits, InputReport
from diffdrive.runtime.envelope.inputs import (
    EgoMotion,
    Reading,
    VehicleInputs,
    camera_reading,
    lidar_reading,
    motion_reading,
)
from diffdrive.runtime.envelope.motion import Motion
from diffdrive.runtime.envelope.recording import Replayed, cycle_line, header_line, replay
from diffdrive.runtime.envelope.repair import repaired
from diffdrive.runtime.envelope.safe_planner import CycleOutcome, EnvelopeMemory, SafePlanner
from diffdrive.runtime.envelope.selection import Choice, Selection, SelectionConfig, select
from diffdrive.runtime.envelope.warm_start import PastProposals, Start, StartKind, WarmStart, WarmStartConfig
from diffdrive.runtime.envelope.watchdog import Answer, AskInline, AskInThread

__all__ = [
    "Admission",
    "Answer",
    "AskInThread",
    "AskInline",
    "Braking",
    "Choice",
    "Cycle",
    "CycleOutcome",
    "Decision",
    "DecisionMemory",
    "DecisionStatus",
    "EgoMotion",
    "EnvelopeConfig",
    "EnvelopeCounters",
    "EnvelopeMemory",
    "Feasibility",
    "Held",
    "HeldInputs",
    "InputCondition",
    "InputLimits",
    "InputPolicy",
    "InputReport",
    "KinematicLimits",
    "Motion",
    "PastPlan",
    "PastProposals",
    "Reading",
    "Replayed",
    "SafePlanner",
    "Selection",
    "SelectionConfig",
    "Start",
    "StartKind",
    "VehicleInputs",
    "Violation",
    "WarmStart",
    "WarmStartConfig",
    "admit",
    "camera_reading",
    "check_proposals",
    "cycle_line",
    "decide",
    "driven_on",
    "header_line",
    "lidar_reading",
    "load_envelope_config",
    "motion_reading",
    "repaired",
    "replay",
    "retimed",
    "select",
    "stop_along",
]
