"""What training minimises. An objective is a function of predictions and targets that returns named, weighted terms."""

from diffdrive.training.objectives.denoising import denoising_losses, noisy_points, planner_losses, trajectory_losses
from diffdrive.training.objectives.terms import LossTerms, ObjectiveWeights

__all__ = ["LossTerms", "ObjectiveWeights", "denoising_losses", "noisy_points", "planner_losses", "trajectory_losses"]
