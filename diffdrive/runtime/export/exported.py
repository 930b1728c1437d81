"""What an exported file says about itself: one line of JSON inside it, so that nobody needs the model to use the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.diffusion import JumpTable
from diffdrive.model import PlannerConfig
from diffdrive.runtime.checks import checked_jumps, empty_inputs
from diffdrive.runtime.engine import EngineOptions, EngineSpec, Precision

KEY = "diffdrive"
"""Under which the line is found in a file's metadata."""

FORMAT = 1
ANY_DEVICE = "any"
DEVICE_TYPES = (ANY_DEVICE, "cpu", "cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One float32 tensor that goes in or comes out."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A network in a file: its sizes, how it samples, and what it returns."""

    engine: EngineSpec
    jumps: JumpTable
    precision: Precision
    device_type: str
    """Where it runs: ``cpu`` or ``cuda``; ``any`` where the file leaves that open."""

    outputs: tuple[TensorSpec, ...]
    """In the order in which the network returns them."""

    made_with: str
    """The packages that wrote the file."""

    def __post_init__(self) -> None:
        spec, batch = self.engine, self.engine.batch_size
        if batch is None:
            raise InputError("An exported network has a fixed batch size, got none. Export with EngineOptions(batch_size=1).")
        if self.outputs[:2] != _plan_outputs(spec, batch):
            raise InputError(f"An exported network returns {_plan_outputs(spec, batch)} first, got {self.outputs[:2]}.")
        if self.device_type not in DEVICE_TYPES:
            raise InputError(f"Exported.device_type must be one of {', '.join(DEVICE_TYPES)}, got '{self.device_type}'.")

    @classmethod
    def of(cls, config: PlannerConfig, options: EngineOptions, *, device_type: str, made_with: str) -> Exported:
        """The description of a network of ``config`` exported with ``options``."""
        batch, targets = options.batch_size, config.targets
        spec = EngineSpec.of(config, batch)
        outputs = _plan_outputs(spec, batch)
        if options.wants_agents:
            outputs += (
                TensorSpec(name="agent_states", shape=(batch, targets.num_agents, 5)),
                TensorSpec(name="agent_logits", shape=(batch, targets.num_agents)),
            )
        if options.wants_bev:
            bev = (batch, targets.bev_classes, targets.bev_rows, targets.bev_columns)
            outputs += (TensorSpec(name="bev_logits", shape=bev),)
        return cls(
            engine=spec,
            jumps=checked_jumps(options.jumps, config),
            precision=options.precision,
            device_type=device_type,
            outputs=outputs,
            made_with=made_with,
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """In the order in which the network takes them."""
        inputs, noise = empty_inputs(self.engine, torch.device("meta"))
        tensors = {"camera": inputs.camera, "lidar": inputs.lidar, "status": inputs.status, "noise": noise}
        return tuple(TensorSpec(name=name, shape=tuple(tensor.shape)) for name, tensor in tensors.items())

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs)

    def to_json(self) -> str:
        """One line. ``inputs`` is there for readers without this package."""
        inputs = [to_mapping(tensor) for tensor in self.inputs]
        return json.dumps({"format": FORMAT, **to_mapping(self), "inputs": inputs})


def from_metadata(metadata: Mapping[str, str], path: Path) -> Exported:
    """The description that the file at ``path`` carries in ``metadata``.

    Raises ``InputError`` when there is none, when another version wrote it, and when it cannot be true.
    """
    if KEY not in metadata:
        raise InputError(f"'{path}' carries no description, so it is no exported planner. Write one with 'diffdrive export'.")
    try:
        values = json.loads(metadata[KEY])
    except ValueError as error:
        raise InputError(f"The description in '{path}' is not JSON: {error}. Export the planner again.") from error
    given = values.get("format") if isinstance(values, dict) else None
    if given != FORMAT:
        raise InputError(f"'{path}' has format {given}, and this diffdrive reads format {FORMAT}. Export the planner again.")
    return _built(values, path)


def _built(values: dict[str, Any], path: Path) -> Exported:
    fields = {name: value for name, value in values.items() if name not in ("format", "inputs")}
    try:
        exported = build(Exported, fields)
    except (InputError, TypeError) as error:  # TypeError: a field is missing
        raise InputError(f"The description in '{path}' cannot be used: {error} Export the planner again.") from error
    if values.get("inputs") != json.loads(exported.to_json())["inputs"]:
        raise InputError(f"The description in '{path}' states other inputs than its layout has. Export the planner again.")
    return exported


def _plan_outputs(spec: EngineSpec, batch: int) -> tuple[TensorSpec, ...]:
    return (
        TensorSpec(name="poses", shape=(batch, spec.num_modes, spec.num_poses, 3)),
        TensorSpec(name="logits", shape=(batch, spec.num_modes)),
    )
