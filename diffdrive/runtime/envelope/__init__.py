"""What stands between a planner and a vehicle: which proposals can be driven."""

from diffdrive.runtime.envelope.feasibility import Feasibility, KinematicLimits, Violation, check_proposals
from diffdrive.runtime.envelope.motion import Motion

__all__ = ["Feasibility", "KinematicLimits", "Motion", "Violation", "check_proposals"]
