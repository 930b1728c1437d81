"""Everything that a planner's process imports: most of the time of its start. The server that they are forked from has it."""

from __future__ import annotations

from diffdrive.torchvision_ops import declare_missing_ops

declare_missing_ops()

import safetensors.torch  # noqa: E402, F401
import timm  # noqa: E402, F401

import diffdrive.model.checkpoint  # noqa: E402
import diffdrive.simulation.soak.sabotage  # noqa: E402, F401
