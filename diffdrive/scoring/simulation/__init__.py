"""From a planned trajectory to how the vehicle would drive it, as NAVSIM simulates it."""

from diffdrive.scoring.simulation.references import interpolate_references
from diffdrive.scoring.simulation.simulate import simulate

__all__ = ["interpolate_references", "simulate"]
