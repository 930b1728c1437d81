"""How long a plan takes, measured so that the number means something: warmed up, synchronised, stage by stage, in turns."""

from diffdrive.runtime.choice import EngineChoice
from diffdrive.runtime.latency.agreement import Answer, Disagreement, disagreement, worst
from diffdrive.runtime.latency.environment import describe_environment, gpu_clocks
from diffdrive.runtime.latency.floor import Rates, WorkCount, count_work, measure_rates, upload_rate
from diffdrive.runtime.latency.frames import FrameCycle, FrameSizes, image_size, synthetic_observations
from diffdrive.runtime.latency.loop import LoopSettings, StageTimer, Timed, measure, measure_pair, measure_stages
from diffdrive.runtime.latency.memory import MemoryReading, cuda_allocations, read_memory
from diffdrive.runtime.latency.random_model import random_planner
from diffdrive.runtime.latency.report import BenchSettings, bench, compare, plain, write_json
from diffdrive.runtime.latency.statistics import LatencyStatistics, Ratio, ratio_of_medians, summarise
from diffdrive.runtime.latency.subject import FrameFailedError, Subject

__all__ = [
    "Answer",
    "BenchSettings",
    "Disagreement",
    "EngineChoice",
    "FrameCycle",
    "FrameFailedError",
    "FrameSizes",
    "LatencyStatistics",
    "LoopSettings",
    "MemoryReading",
    "Rates",
    "Ratio",
    "StageTimer",
    "Subject",
    "Timed",
    "WorkCount",
    "bench",
    "compare",
    "count_work",
    "cuda_allocations",
    "describe_environment",
    "disagreement",
    "gpu_clocks",
    "image_size",
    "measure",
    "measure_pair",
    "measure_rates",
    "measure_stages",
    "plain",
    "random_planner",
    "ratio_of_medians",
    "read_memory",
    "summarise",
    "synthetic_observations",
    "upload_rate",
    "worst",
    "write_json",
]
