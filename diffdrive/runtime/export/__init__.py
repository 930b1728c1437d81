"""The network in a file, and engines that run such files.

    export_onnx / export_aot: PlannerModel -> file        OnnxEngine.open / AotEngine.open: file -> engine

A file carries its own description (``exported.py``), so that an engine needs no model and no checkpoint. Making files needs
``diffdrive[export]`` (.onnx) or a C++ compiler (.pt2).
"""

from diffdrive.runtime.export.aot import AotEngine, export_aot
from diffdrive.runtime.export.exported import Exported
from diffdrive.runtime.export.onnx import OnnxEngine, export_onnx
from diffdrive.runtime.export.tensorrt import TensorRtEngine

__all__ = ["AotEngine", "Exported", "OnnxEngine", "TensorRtEngine", "export_aot", "export_onnx"]
