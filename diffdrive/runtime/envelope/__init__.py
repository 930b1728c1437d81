"""What stands between a planner and a vehicle: which inputs may be planned with, and which proposals can be driven."""

from diffdrive.runtime.envelope.admission import Admission, HeldInputs, InputPolicy, admit
from diffdrive.runtime.envelope.feasibility import Feasibility, KinematicLimits, Violation, check_proposals
from diffdrive.runtime.envelope.freshness import Held, InputCondition, InputLimits, InputReport
from diffdrive.runtime.envelope.inputs import EgoMotion, Reading, VehicleInputs, camera_reading, lidar_reading
from diffdrive.runtime.envelope.motion import Motion

__all__ = [
    "Admission",
    "EgoMotion",
    "Feasibility",
    "Held",
    "HeldInputs",
    "InputCondition",
    "InputLimits",
    "InputPolicy",
    "InputReport",
    "KinematicLimits",
    "Motion",
    "Reading",
    "VehicleInputs",
    "Violation",
    "admit",
    "camera_reading",
    "check_proposals",
    "lidar_reading",
]
