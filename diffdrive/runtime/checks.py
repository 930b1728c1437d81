"""What every engine checks before it computes, and the empty request that warms it up."""

from __future__ import annotations

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.diffusion import JumpTable
from diffdrive.model import DecoderKind, PlannerConfig, Prior
from diffdrive.runtime.engine import EngineSpec
from diffdrive.tensors import PlannerInputs

MOST_SIGNAL = 0.1
"""Share of signal variance at a level below which it may pass for pure noise."""


def checked_jumps(jumps: JumpTable | None, config: PlannerConfig) -> JumpTable:
    """``jumps``, or the model's own where there are none.

    Raises ``InputError`` for a level that was not trained, or that the schedule lacks, and where a model that starts from pure
    noise is given a table that begins with less. A model without diffusion is given its own, whatever is asked for: it
    takes one pass.
    """
    if jumps is None or config.decoder_kind is DecoderKind.REGRESSION:
        return config.default_jumps
    highest = max(jumps.start_level, *(start for start, _ in jumps.jumps))
    top = config.schedule.num_levels - 1
    if highest > top:
        raise InputError(f"The jump table begins at level {highest}, but the model's noise schedule ends at {top}.")
    if highest >= config.num_train_levels:
        raise InputError(
            f"The jump table begins at level {highest}, but the model was trained on levels 0 .. {config.num_train_levels - 1} "
            f"alone (num_train_levels). Plan with a table that begins lower, or train with num_train_levels={highest + 1}."
        )
    if config.prior is Prior.NOISE and config.schedule.alpha_bar(jumps.jumps[0][0]) > MOST_SIGNAL:
        raise InputError(
            f"The model starts from pure noise, and at level {jumps.jumps[0][0]}, where the jump table begins, some of the "
            "signal must be left. Plan with the model's own table (None), or with diffusion.noise_table."
        )
    return jumps


def check_request(spec: EngineSpec, inputs: PlannerInputs, noise: Tensor) -> None:
    """Raise ``InputError`` unless shapes and types are those of ``spec``: a compiled or captured network cannot check."""
    layout, batch = spec.inputs, inputs.batch_size
    if spec.batch_size is not None and batch != spec.batch_size:
        raise InputError(
            f"This engine was built for batches of {spec.batch_size}, got {batch}. "
            f"Build another one with EngineOptions(batch_size={batch})."
        )
    expected = {
        "camera": (batch, 3, layout.camera_height, layout.camera_width),
        "lidar": (batch, 1, layout.lidar_pixels, layout.lidar_pixels),
        "status": (batch, 8),
        "noise": (batch, *spec.noise_shape[1:]),
    }
    given = {"camera": inputs.camera, "lidar": inputs.lidar, "status": inputs.status, "noise": noise}
    for name, shape in expected.items():
        tensor = given[name]
        if tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
            raise InputError(
                f"The engine takes {name} as float32 of shape {list(shape)}, got {tensor.dtype} of shape "
                f"{list(tensor.shape)}. Build the inputs from the engine's own spec."
            )


def empty_inputs(spec: EngineSpec, device: torch.device) -> tuple[PlannerInputs, Tensor]:
    """Inputs and noise of nothing, in the sizes of ``spec``."""
    layout, batch = spec.inputs, spec.batch_size or 1
    inputs = PlannerInputs(
        camera=torch.zeros(batch, 3, layout.camera_height, layout.camera_width),
        lidar=torch.zeros(batch, 1, layout.lidar_pixels, layout.lidar_pixels),
        status=torch.zeros(batch, 8),
    )
    return inputs.to(device), torch.zeros(spec.noise_shape, device=device)
