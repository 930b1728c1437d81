"""Every engine by its name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.runtime.compiled import CompiledEngine
from diffdrive.runtime.cuda_graph import make_cuda_graph
from diffdrive.runtime.eager import EagerEngine
from diffdrive.runtime.engine import Engine, EngineOptions
from diffdrive.runtime.export import AotEngine, OnnxEngine, TensorRtEngine
from diffdrive.runtime.native.engine import NativeEngine
from diffdrive.runtime.plain import PlainEngine

ENGINES: dict[str, Callable[[PlannerModel, EngineOptions], Engine]] = {
    "plain": PlainEngine,
    "eager": EagerEngine,
    "native": NativeEngine,
    "compiled": CompiledEngine,
    "cuda_graph": make_cuda_graph,
    "cuda_graph_compiled": partial(make_cuda_graph, compiles=True),
    "onnxruntime": OnnxEngine,
    "aot": AotEngine,
    "tensorrt": TensorRtEngine,
}
"""Name to constructor. What an engine needs beyond torch it imports when it is made; the error says what to install."""


def make_engine(name: str, model: PlannerModel, options: EngineOptions | None = None) -> Engine:
    """The engine called ``name``. Takes the model over.

    Raises ``InputError`` for an unknown name and for options that the engine cannot follow; ``ImportError`` naming the
    extra where a package is missing.
    """
    if name not in ENGINES:
        close = difflib.get_close_matches(name, ENGINES, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Known engines: {', '.join(ENGINES)}."
        raise InputError(f"There is no engine called '{name}'. {hint}")
    return ENGINES[name](model, options or EngineOptions())
