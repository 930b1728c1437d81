"""The eager engine: the inference network, operation by operation. Exact in single precision, needs nothing but torch."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.model import PlannerModel
from diffdrive.model.inference import InferenceModel
from diffdrive.runtime.checks import check_request, checked_jumps, empty_inputs
from diffdrive.runtime.engine import EngineOptions, EngineSpec, StageMark, no_mark
from diffdrive.runtime.precision import usable_precision
from diffdrive.tensors import PlannerInputs, Proposals


class EagerEngine:
    """Runs ``InferenceModel(model)`` for any batch size. ``model`` is not needed afterwards.

    Raises ``InputError`` for jumps that the model was not trained for.
    """

    name = "eager"

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        jumps = checked_jumps(options.jumps, model.config)
        self.device = torch.device(options.device)
        self.spec = EngineSpec.of(model.config)
        self.precision, self.degraded = usable_precision(options.precision, self.device)
        self._network = InferenceModel(
            model,
            jumps,
            dtype=self.precision.dtype,
            wants_agents=options.wants_agents,
            wants_bev=options.wants_bev,
        ).to(self.device)

    @property
    def description(self) -> str:
        """Number format and device."""
        return f"{self.name}: inference network, {self.precision.value}, {self.device}"

    def warm_up(self) -> None:
        """One plan of nothing."""
        self.run(*empty_inputs(self.spec, self.device))

    @torch.inference_mode()
    def run(self, inputs: PlannerInputs, noise: Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan a batch."""
        check_request(self.spec, inputs, noise)
        perceived = self._network.perceive(inputs.camera, inputs.lidar, inputs.status)
        mark("backbone")
        outputs = self._network.denoise(perceived.memory, noise)
        mark("decoder")
        return self._network.proposals((*outputs, *perceived.heads))
