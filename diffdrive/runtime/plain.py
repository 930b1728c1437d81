"""The plain engine: the training network as it is, in single precision. What every faster engine is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.diffusion import REFERENCE, JumpTable
from diffdrive.model import PlannerModel
from diffdrive.runtime.engine import EngineSpec
from diffdrive.tensors import PlannerInputs, Proposals


class PlainEngine:
    """Calls ``model`` in evaluation mode, without gradients, on ``device``. Takes the model over: it moves and freezes it."""

    name = "plain"

    def __init__(self, model: PlannerModel, *, jumps: JumpTable = REFERENCE, device: torch.device | str = "cpu") -> None:
        config = model.config
        top = config.schedule.num_levels - 1
        highest = max(jumps.start_level, *(start for start, _ in jumps.jumps))
        if highest > top:
            raise InputError(f"The jump table begins at level {highest}, but the model's noise schedule ends at {top}.")
        self.device = torch.device(device)
        self.spec = EngineSpec(
            inputs=config.inputs,
            num_modes=config.num_modes,
            num_poses=config.targets.num_poses,
            interval_s=config.targets.interval_s,
        )
        self._jumps = jumps
        self._model = model.eval().requires_grad_(False).to(self.device)

    @property
    def description(self) -> str:
        """Parameters, passes, number format and device."""
        parameters = sum(parameter.numel() for parameter in self._model.parameters()) / 1e6
        return f"plain: {parameters:.1f} M parameters, {len(self._jumps.jumps)} passes, float32, {self.device}"

    def warm_up(self) -> None:
        """One plan of nothing."""
        layout = self.spec.inputs
        inputs = PlannerInputs(
            camera=torch.zeros(1, 3, layout.camera_height, layout.camera_width),
            lidar=torch.zeros(1, 1, layout.lidar_pixels, layout.lidar_pixels),
            status=torch.zeros(1, 8),
        )
        self.run(inputs.to(self.device), torch.zeros(self.spec.noise_shape, device=self.device))

    @torch.inference_mode()
    def run(self, inputs: PlannerInputs, noise: Tensor) -> Proposals:
        """Plan a batch: the network's own proposals, one pass per jump."""
        proposals: Proposals = self._model(inputs, noise, self._jumps)
        return proposals
