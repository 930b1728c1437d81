"""Who does the work: this process, a pool of processes, or a Ray cluster. Results do not depend on the choice."""

from diffdrive.evaluation.scoring.executors.executor import ChunkOutcome, Executor
from diffdrive.evaluation.scoring.executors.processes import ProcessExecutor
from diffdrive.evaluation.scoring.executors.ray_cluster import RayExecutor
from diffdrive.evaluation.scoring.executors.serial import SerialExecutor

__all__ = ["ChunkOutcome", "Executor", "ProcessExecutor", "RayExecutor", "SerialExecutor"]
