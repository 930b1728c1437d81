"""The optimiser and its groups, the learning rate as a pure function of progress, and the running average of the weights."""

from diffdrive.training.optim.average import WeightAverage
from diffdrive.training.optim.groups import ParameterGroup, build_optimizer, parameter_groups, plain_name, set_rate
from diffdrive.training.optim.rate import LearningRate

__all__ = [
    "LearningRate",
    "ParameterGroup",
    "WeightAverage",
    "build_optimizer",
    "parameter_groups",
    "plain_name",
    "set_rate",
]
