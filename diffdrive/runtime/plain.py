"""The plain engine: the training network as it is, in single precision. What every faster engine is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.runtime.checks import check_request, checked_jumps, empty_inputs
from diffdrive.runtime.engine import EngineOptions, EngineSpec, Precision, StageMark, no_mark
from diffdrive.tensors import PlannerInputs, Proposals


class PlainEngine:
    """Calls ``model`` in evaluation mode, without gradients. Takes the model over: it moves and freezes it.

    Nothing is hoisted, folded or removed: this is the order in which the public model evaluates, value maps once per pass.
    Raises ``InputError`` for a precision other than float32 and for jumps that the model was not trained for.
    """

    name = "plain"
    degraded = ""

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        if options.precision is not Precision.FLOAT32:
            raise InputError(f"The plain engine is the yardstick and runs in fp32 only, got {options.precision.value}.")
        self.device = torch.device(options.device)
        self.spec = EngineSpec.of(model.config)
        self._jumps = checked_jumps(options.jumps, model.config)
        self._model = model.eval().requires_grad_(False).to(self.device)

    @property
    def description(self) -> str:
        """Parameters, passes, number format and device."""
        parameters = sum(parameter.numel() for parameter in self._model.parameters()) / 1e6
        return f"plain: {parameters:.1f} M parameters, {len(self._jumps.jumps)} passes, fp32, {self.device}"

    def warm_up(self) -> None:
        """One plan of nothing."""
        inputs, noise = empty_inputs(self.spec, self.device)
        self.run(inputs, noise)

    @torch.inference_mode()
    def run(self, inputs: PlannerInputs, noise: Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan a batch: the network's own proposals, one pass per jump."""
        check_request(self.spec, inputs, noise)
        features = self._model.encode(inputs)
        mark("backbone")
        passes = self._model.denoise(features, noise, self._jumps)
        mark("decoder")
        return Proposals(passes=passes, agents=features.agents, bev_logits=features.bev_logits)
