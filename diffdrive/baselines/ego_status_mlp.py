"""A blind network: where the car will go, from its own motion and the driving command alone.

The public counterpart is NAVSIM's ego-status baseline (Dauner et al. 2024, arXiv 2406.15349): the eight status numbers, hidden
layers of 512 with ReLU, all poses at once. A planner that is no better has learned nothing from its sensors.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import Axes, InputError
from diffdrive.features.inputs.ego_status import STATUS_SIZE, build_status
from diffdrive.files import written_aside
from diffdrive.scene import Observation, Trajectory
from diffdrive.tensors import TargetLayout

WEIGHTS_NAME = "ego_status_mlp.safetensors"
CONFIG_NAME = "ego_status_mlp.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EgoStatusMLPConfig:
    """Sizes of the network."""

    targets: TargetLayout = field(default_factory=TargetLayout)
    hidden_size: int = 512
    num_hidden_layers: int = 3

    def __post_init__(self) -> None:
        if self.hidden_size < 1 or self.num_hidden_layers < 1:
            raise InputError(
                f"EgoStatusMLPConfig needs at least one hidden layer of at least one unit, "
                f"got {self.num_hidden_layers} of {self.hidden_size}."
            )


class EgoStatusMLP(nn.Module):
    """Status in, trajectory out. Weights are random until trained or loaded."""

    name = "ego-status MLP"

    def __init__(self, config: EgoStatusMLPConfig | None = None) -> None:
        super().__init__()
        self.config = config or EgoStatusMLPConfig()
        sizes = [STATUS_SIZE] + [self.config.hidden_size] * self.config.num_hidden_layers
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 3 * self.config.targets.num_poses))

    def forward(self, status: Tensor) -> Tensor:
        """Poses [B, T, 3] (metres, radians; ego frame) from the status [B, 8] of ``PlannerInputs``."""
        Axes("EgoStatusMLP").check("status", status, f"B {STATUS_SIZE}")
        return self.layers(status).reshape(-1, self.config.targets.num_poses, 3)

    @torch.no_grad()
    def plan(self, observation: Observation) -> Trajectory:
        """The trajectory for one observation."""
        parameter = next(self.parameters())
        status = build_status(observation)[None].to(parameter.device, parameter.dtype)
        return Trajectory(self(status)[0].double().cpu().numpy(), self.config.targets.interval_s)

    def save(self, folder: Path) -> None:
        """Write weights and sizes into ``folder``, each file whole or not at all."""
        from safetensors.torch import save_file

        with written_aside(folder / CONFIG_NAME) as config, written_aside(folder / WEIGHTS_NAME) as weights:
            save_file({name: tensor.contiguous().cpu() for name, tensor in self.state_dict().items()}, weights)
            config.write_text(json.dumps(to_mapping(self.config), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> EgoStatusMLP:
        """Read what ``save`` wrote, in evaluation mode.

        Raises ``InputError`` for missing or unreadable files, unknown sizes, and weights that do not fit the sizes.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for path in (folder / CONFIG_NAME, folder / WEIGHTS_NAME):
            if not path.is_file():
                raise InputError(f"'{path}' does not exist. Give a folder that EgoStatusMLP.save wrote.")
        try:
            sizes = json.loads((folder / CONFIG_NAME).read_text())
            weights = load_file(folder / WEIGHTS_NAME)
        except (OSError, ValueError, SafetensorError) as error:
            raise InputError(f"The ego-status MLP in '{folder}' cannot be read: {error}. Train it again.") from error
        if not isinstance(sizes, dict):
            raise InputError(f"'{folder / CONFIG_NAME}' must be a JSON mapping, got {type(sizes).__name__}.")
        model = cls(build(EgoStatusMLPConfig, sizes))
        try:
            model.load_state_dict(weights, strict=True)
        except RuntimeError as error:
            raise InputError(f"The weights in '{folder}' do not fit the sizes beside them: {error}") from error
        return model.eval()
