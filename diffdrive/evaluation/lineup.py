"""Who takes part in a comparison: the network of a checkpoint and the simple planners beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffdrive.baselines import ConstantTurnRate, ConstantVelocity, EgoStatusMLP
from diffdrive.contracts import InputError
from diffdrive.evaluation.evaluate import Candidate
from diffdrive.evaluation.names import NETWORK, SIMPLE
from diffdrive.runtime import Planner
from diffdrive.tensors import TargetLayout

PLANNERS = (NETWORK, *SIMPLE)
"""What can be compared. ``network`` and ``ego_status_mlp`` need a checkpoint folder."""


def lineup(names: Sequence[str], checkpoint: Path | None, planner: Planner | None = None) -> tuple[Candidate, ...]:
    """The candidates called ``names`` (of ``PLANNERS``), in that order.

    ``planner`` is the network; it is named after the ``checkpoint`` folder it came from. All plan at the same times. Raises
    ``InputError`` for an unknown name, and for a name that needs a checkpoint or a planner where none is given.
    """
    for name in names:
        if name not in PLANNERS:
            raise InputError(f"There is no planner '{name}'. Known planners: {', '.join(PLANNERS)}.")
    layout = TargetLayout()
    if planner is not None:
        spec = planner.engine.spec
        layout = replace(layout, num_poses=spec.num_poses, interval_s=spec.interval_s)
    return tuple(_candidate(name, checkpoint, planner, layout) for name in names)


def _candidate(name: str, checkpoint: Path | None, planner: Planner | None, layout: TargetLayout) -> Candidate:
    if name == NETWORK:
        if planner is None:
            raise InputError(f"'{NETWORK}' needs a planner, got none. Load one with runtime.Planner.from_checkpoint.")
        return Candidate(_required(checkpoint, name).resolve().name, planner.plan)
    if name == "ego_status_mlp":
        blind = EgoStatusMLP.load(_required(checkpoint, name))
        return Candidate(blind.name, blind.plan)
    simple = ConstantVelocity(layout) if name == "constant_velocity" else ConstantTurnRate(layout)
    return Candidate(simple.name, simple.plan)


def _required(checkpoint: Path | None, name: str) -> Path:
    if checkpoint is None:
        raise InputError(f"Planner '{name}' needs the folder of a checkpoint, got none.")
    return Path(checkpoint)
