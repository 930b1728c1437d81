"""Measure planners: run them over many scenes, aggregate, report. Open loop; needs no matplotlib."""

from diffdrive.evaluation.aggregate import (
    ALL,
    BY_COMMAND,
    BY_SPEED,
    Grouping,
    Interval,
    Summary,
    mean_interval,
    paired_difference,
    summarise,
)
from diffdrive.evaluation.evaluate import Candidate, Evaluation, SceneResult, evaluate, measure
from diffdrive.evaluation.report import Figure, Report, Section, write_report
from diffdrive.evaluation.table import Table

__all__ = [
    "ALL",
    "BY_COMMAND",
    "BY_SPEED",
    "Candidate",
    "Evaluation",
    "Figure",
    "Grouping",
    "Interval",
    "Report",
    "SceneResult",
    "Section",
    "Summary",
    "Table",
    "evaluate",
    "mean_interval",
    "measure",
    "paired_difference",
    "summarise",
    "write_report",
]
