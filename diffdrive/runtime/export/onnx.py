"""The network as one .onnx file, run by onnxruntime."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.runtime.engine import EngineOptions, Precision
from diffdrive.runtime.export.exported import ANY_DEVICE, KEY, Exported, from_metadata
from diffdrive.runtime.export.file_engine import FileEngine
from diffdrive.runtime.export.network import check_same, network_of, quiet, random_inputs, written_aside

SUFFIX = ".onnx"
OPSET = 20
LARGEST_BYTES = 2 * 1024**3 - 1
"""Of one protobuf message, which an .onnx file is."""

ERRORS_ONLY = 3
"""onnxruntime's log level; at the next lower one it tells of every constant that it leaves unfolded."""


def export_onnx(model: PlannerModel, path: Path | str, options: EngineOptions | None = None) -> Exported:
    """Write the network of ``model`` for ``options`` to ``path``, once onnxruntime has shown that it answers the same.

    ``options.device`` does not matter. Raises ``InputError`` for bf16, another suffix than .onnx and a missing folder,
    ``ImportError`` naming the extra where onnx, onnxscript or onnxruntime is missing.
    """
    path, options = Path(path), options or EngineOptions()
    if options.precision is Precision.BFLOAT16:
        raise InputError(
            "An .onnx file is fp32 or fp16, got bf16: onnxruntime has no bf16 convolution. The aot engine has one."
        )
    onnx, _, runtime = (need_package(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    exported = Exported.of(
        model.config,
        options,
        device_type=ANY_DEVICE,
        made_with=f"torch {torch.__version__}, onnx {onnx.__version__}, opset {OPSET}",
    )
    with written_aside(path, SUFFIX) as aside, torch.inference_mode(False), torch.no_grad():
        network, inputs = network_of(model, options, "cpu"), random_inputs(exported, "cpu")
        _check_size(network)
        with quiet():
            program: Any = torch.onnx.export(
                network,
                inputs,
                dynamo=True,
                input_names=[tensor.name for tensor in exported.inputs],
                output_names=list(exported.output_names),
                opset_version=OPSET,
                verbose=False,
            )
        program.model.metadata_props[KEY] = exported.to_json()
        program.save(str(aside), external_data=False)
        check_same(exported, network(*inputs), OnnxSession(runtime, aside, exported, torch.device("cpu"))(inputs))
    return exported


class OnnxEngine(FileEngine):
    """onnxruntime on the CPU, or on CUDA where its GPU package is installed (that path has not been run by its authors).

    The constructor exports and loads, and needs ``diffdrive[export]``; ``OnnxEngine.open(path)`` needs onnxruntime alone.
    On the CPU it uses as many threads as torch does when the engine is made. fp16 on the CPU is exact to fp16 but not fast:
    onnxruntime computes there in float32 and rounds in between.
    """

    name = "onnxruntime"

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"planner{SUFFIX}"
            export_onnx(model, path, options)
            self._load(path, options.device)

    def _describe(self, path: Path) -> Exported:
        return from_metadata(_metadata(need_package("onnxruntime"), path), path)

    def _start(self, path: Path) -> OnnxSession:
        return OnnxSession(need_package("onnxruntime"), path, self.exported, self.device)


class OnnxSession:
    """A file in onnxruntime. Reads and writes torch's own memory: nothing is copied, nothing is allocated per call."""

    def __init__(self, runtime: Any, path: Path, exported: Exported, device: torch.device) -> None:
        provider = _provider(runtime, device)
        settings = runtime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        settings.inter_op_num_threads = 1
        # Its threads would go on spinning after a call, at the cost of whatever runs next: on two cores a call of the plain
        # engine took 2.3 times as long after one of this. The call itself is no faster for it.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        settings.log_severity_level = ERRORS_ONLY
        self._session = runtime.InferenceSession(str(path), settings, providers=[provider])
        # onnxruntime falls back to the CPU with a warning where a library of CUDA is missing.
        if self._session.get_providers()[0] != provider[0]:
            raise InputError(f"onnxruntime could not start its {provider[0]} on {device}. Check its CUDA and cuDNN libraries.")
        self._device = device
        self._names = [tensor.name for tensor in exported.inputs]
        self._outputs = [torch.empty(output.shape, device=device) for output in exported.outputs]
        self._binding = self._session.io_binding()
        for output, tensor in zip(exported.outputs, self._outputs, strict=True):
            self._binding.bind_output(output.name, *_place(tensor))

    def __call__(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        for name, tensor in zip(self._names, inputs, strict=True):
            self._binding.bind_input(name, *_place(tensor))
        on_device = self._device.type == "cuda"
        if on_device:
            # onnxruntime works on a stream of its own, which knows nothing of torch's.
            torch.cuda.current_stream(self._device).synchronize()
        self._session.run_with_iobinding(self._binding)
        if on_device:
            self._binding.synchronize_outputs()
        return self._outputs


def _place(tensor: Tensor) -> tuple[str, int, Any, tuple[int, ...], int]:
    return tensor.device.type, tensor.device.index or 0, np.float32, tuple(tensor.shape), tensor.data_ptr()


def _provider(runtime: Any, device: torch.device) -> tuple[str, dict[str, Any]]:
    if device.type == "cpu":
        return "CPUExecutionProvider", {}
    name = "CUDAExecutionProvider"
    if device.type != "cuda" or name not in runtime.get_available_providers():
        raise InputError(
            f"onnxruntime cannot run on {device} here: it offers {', '.join(runtime.get_available_providers())}. "
            "Install onnxruntime-gpu in the place of onnxruntime, or use the CPU."
        )
    # TF32 would drop 13 of the 23 bits that the file asks for.
    return name, {"device_id": device.index or 0, "use_tf32": 0}


def _metadata(runtime: Any, path: Path) -> dict[str, str]:
    """The metadata of the file. onnxruntime reads it only together with the network."""
    settings = runtime.SessionOptions()
    settings.log_severity_level = ERRORS_ONLY
    settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes, which differ from version to version
        raise InputError(
            f"'{path}' cannot be read as an .onnx file ({type(error).__name__}). Export the planner again."
        ) from error
    return dict(session.get_modelmeta().custom_metadata_map)


def _check_size(network: torch.nn.Module) -> None:
    tensors = [*network.parameters(), *network.buffers()]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if size > LARGEST_BYTES:
        raise InputError(f"An .onnx file holds at most 2 GiB, and this network has {size / 1024**3:.1f} GiB. Use aot.")


def need_package(module: str) -> Any:
    """The module called ``module``. Raises ``ImportError`` naming the extra when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"Files of the kind .onnx need {module}. Install it with: pip install 'diffdrive[export]'") from error
