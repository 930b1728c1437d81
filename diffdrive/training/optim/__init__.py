"""The optimiser and its groups, its rate as a function of progress, clipping, and the running average of the weights."""

from diffdrive.training.optim.average import WeightAverage
from diffdrive.training.optim.clipping import clip_gradient, gradient_norm
from diffdrive.training.optim.groups import ParameterGroup, build_optimizer, parameter_groups, set_rate
from diffdrive.training.optim.rate import LearningRate

__all__ = [
    "LearningRate",
    "ParameterGroup",
    "WeightAverage",
    "build_optimizer",
    "clip_gradient",
    "gradient_norm",
    "parameter_groups",
    "set_rate",
]
