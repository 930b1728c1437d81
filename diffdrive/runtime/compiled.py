"""The compiled engine: the inference network through torch.compile, for one batch size."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from diffdrive.model import PlannerModel
from diffdrive.model.inference import InferenceModel, Perceived
from diffdrive.runtime.checks import check_request, empty_inputs
from diffdrive.runtime.eager import EagerEngine
from diffdrive.runtime.engine import EngineOptions, StageMark, no_mark
from diffdrive.runtime.errors import describe
from diffdrive.runtime.native import NativeUnavailableError, use_winograd
from diffdrive.tensors import PlannerInputs, Proposals

ENGINES_PER_PROCESS = 64
"""Dynamo gives up after 8 variants of one function by default, and every engine is a variant."""


class CompiledEngine(EagerEngine):
    """``EagerEngine`` through Inductor; on the CPU with frozen weights and Winograd convolutions.

    Compiling takes a minute or two, in ``warm_up`` or at the first call. Where it fails (no C++ compiler, no Triton), the
    engine runs the network uncompiled and ``degraded`` says why.
    """

    name = "compiled"

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        super().__init__(model, options)
        self.spec = replace(self.spec, batch_size=options.batch_size)
        self._perceive: Callable[..., Perceived] = self._network.perceive
        self._denoise: Callable[..., tuple[Tensor, Tensor]] = self._network.denoise
        self._is_ready = False

    def warm_up(self) -> None:
        """Compile, and plan nothing once."""
        if self._is_ready:
            return
        self._is_ready = True
        inputs, noise = empty_inputs(self.spec, self.device)
        try:
            self._compile()
            with compiling(self.device):
                self.run(inputs, noise)
        except Exception as error:  # a compiler can fail in any way, and the network runs without it
            self._perceive, self._denoise = self._network.perceive, self._network.denoise
            self._add_reason(f"The network runs uncompiled: {describe(error)}")
            self.run(inputs, noise)

    @torch.inference_mode()
    def run(self, inputs: PlannerInputs, noise: Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan a batch of the size that the engine was made for."""
        check_request(self.spec, inputs, noise)
        if not self._is_ready:
            self.warm_up()
        perceived = self._perceive(inputs.camera, inputs.lidar, inputs.status)
        mark("backbone")
        outputs = self._denoise(perceived.memory, noise)
        mark("decoder")
        return self._network.proposals((*outputs, *perceived.heads))

    def _compile(self) -> None:
        if self.device.type == "cpu":
            try:
                use_winograd(self._network)
            except NativeUnavailableError as error:
                self._add_reason(f"The network runs without native kernels: {error}")
        self._perceive, self._denoise = compiled(self._network)

    def _add_reason(self, reason: str) -> None:
        self.degraded = f"{self.degraded} {reason}".strip()


def compiled(network: InferenceModel) -> tuple[Callable[..., Perceived], Callable[..., tuple[Tensor, Tensor]]]:
    """``network.perceive`` and ``network.denoise``, to be compiled at their first call within ``compiling``."""
    return (
        torch.compile(network.perceive, dynamic=False, fullgraph=True),
        torch.compile(network.denoise, dynamic=False, fullgraph=True),
    )


@contextlib.contextmanager
def compiling(device: torch.device) -> Iterator[None]:
    """Settings that hold while Dynamo and Inductor work: frozen weights can be packed for the CPU's kernels."""
    import torch._dynamo.config
    import torch._inductor.config

    with (
        torch._dynamo.config.patch(recompile_limit=ENGINES_PER_PROCESS),
        torch._inductor.config.patch(freezing=device.type == "cpu"),
    ):
        yield
