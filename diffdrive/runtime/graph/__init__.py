"""What a CUDA-graph engine is made of: a recorder, a program of stages, and an answer that cannot go stale."""

from diffdrive.runtime.graph.answer import Answer, StaleAnswerError
from diffdrive.runtime.graph.frame import Frame
from diffdrive.runtime.graph.program import GraphProgram, Stage
from diffdrive.runtime.graph.recorder import CudaRecorder, Recorder, Work, cuda_device, measured_convolutions

__all__ = [
    "Answer",
    "CudaRecorder",
    "Frame",
    "GraphProgram",
    "Recorder",
    "Stage",
    "StaleAnswerError",
    "Work",
    "cuda_device",
    "measured_convolutions",
]
