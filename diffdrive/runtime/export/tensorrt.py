"""The .onnx file built into a TensorRT engine, where NVIDIA's ``tensorrt`` package and a CUDA device are.

Written for TensorRT 10 and 11. It has been run against a stand-in for the package only, never on a GPU.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.runtime.engine import EngineOptions
from diffdrive.runtime.export.exported import Exported, from_metadata
from diffdrive.runtime.export.file_engine import FileEngine
from diffdrive.runtime.export.onnx import SUFFIX, export_onnx, need_package


class TensorRtEngine(FileEngine):
    """TensorRT on a CUDA device. Building takes minutes and happens whenever an engine is made or opened.

    The file's own number formats are kept (strong typing, the only mode of TensorRT 11): for half precision, export with
    fp16. Raises ``InputError`` without a CUDA device and for a network that TensorRT does not take, ``ImportError`` without
    the package.
    """

    name = "tensorrt"

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions(device="cuda")
        _need_device(options.device)
        _need_tensorrt()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"planner{SUFFIX}"
            export_onnx(model, path, options)
            self._load(path, options.device)

    def _load(self, path: Path, device: str | None) -> None:
        _need_device(device or "cuda")
        super()._load(path, device or "cuda")

    def _describe(self, path: Path) -> Exported:
        onnx = need_package("onnx")
        try:
            file = onnx.load(str(path), load_external_data=False)
        except Exception as error:  # protobuf's own class
            raise InputError(f"'{path}' cannot be read as an .onnx file ({type(error).__name__}). Export it again.") from error
        return from_metadata({entry.key: entry.value for entry in file.metadata_props}, path)

    def _start(self, path: Path) -> TensorRtSession:
        trt = _need_tensorrt()
        with torch.cuda.device(self.device):
            return TensorRtSession(trt, built(trt, path), self.exported, self.device, CudaTurns(self.device))


class Turns(Protocol):
    """How an engine on a stream of its own takes turns with the caller's stream."""

    handle: int
    """Of the engine's stream."""

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Work handed over inside comes after the caller's earlier work and before its later work."""


class CudaTurns:
    """``Turns`` on a CUDA device. TensorRT synchronises the whole device when it is given the default stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self.handle = int(self._stream.cuda_stream)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        caller = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(caller)
        with torch.cuda.stream(self._stream):
            yield
        caller.wait_stream(self._stream)


def built(trt: Any, path: Path) -> bytes:
    """The engine that TensorRT makes of the .onnx file at ``path``, serialised."""
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # TensorRT 11 ignores the flag, because it knows no other mode.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(path.read_bytes()):
        reasons = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
        raise InputError(f"TensorRT {trt.__version__} does not take '{path}': {reasons}. Use the cuda_graph engine.")
    config = builder.create_builder_config()
    # On by default, and it would drop 13 of the 23 bits that an fp32 file asks for.
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise InputError(f"TensorRT {trt.__version__} could not build '{path}'; its log says why. Use the cuda_graph engine.")
    return bytes(plan)


class TensorRtSession:
    """A built engine with buffers of fixed addresses."""

    def __init__(self, trt: Any, plan: bytes, exported: Exported, device: torch.device, turns: Turns) -> None:
        # The context lives on the engine, and the engine on the runtime: all three are kept.
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise RuntimeError("TensorRT cannot read the engine that it has just built; its log says why.")
        self._context = self._engine.create_execution_context()
        self._turns = turns
        self._inputs = [torch.empty(tensor.shape, device=device) for tensor in exported.inputs]
        self._outputs = [torch.empty(tensor.shape, device=device) for tensor in exported.outputs]
        for tensor, buffer in zip((*exported.inputs, *exported.outputs), (*self._inputs, *self._outputs), strict=True):
            if tuple(self._engine.get_tensor_shape(tensor.name)) != tensor.shape:
                raise RuntimeError(f"TensorRT built '{tensor.name}' in another shape than {list(tensor.shape)}.")
            if not self._context.set_tensor_address(tensor.name, buffer.data_ptr()):
                raise RuntimeError(f"TensorRT does not take the buffer of '{tensor.name}'.")

    def __call__(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        with self._turns.turn():
            for buffer, tensor in zip(self._inputs, inputs, strict=True):
                buffer.copy_(tensor)
            if not self._context.execute_async_v3(self._turns.handle):
                # The buffers still hold the last answer.
                raise RuntimeError("TensorRT did not run the network; its log says why.")
        return self._outputs


def _need_device(device: str) -> None:
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        count = torch.cuda.device_count()
        raise InputError(f"TensorRT needs a CUDA device, got '{device}', and torch sees {count} of them here. Use onnxruntime.")


def _need_tensorrt() -> Any:
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise ImportError(
            "The tensorrt engine needs NVIDIA's package, which diffdrive[export] does not bring. "
            "Install the one for your CUDA version: pip install tensorrt-cu12 (or -cu13)."
        ) from error
