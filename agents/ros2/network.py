"""The planner that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.runtime import Planner
from diffdrive.runtime.envelope import WarmStart

from .config import BridgeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedNetwork:
    """A planner, and where its plans begin."""

    planner: Planner
    warm_start: WarmStart | None
    """None: every plan begins at the anchors."""


def load_network(config: BridgeConfig) -> LoadedNetwork:
    """Read the checkpoint; the planner's first call is still slow (``Planner.warm_up``).

    Raises ``InputError`` for a checkpoint that cannot be read, an engine that is not there, and a warm start that does not fit.
    """
    folder = config.checkpoint_folder
    warm_start = None
    if config.warm_start:
        warm_start = WarmStart(load_checkpoint(folder), config.warm, seed=config.seed)
    return LoadedNetwork(planner=Planner.from_checkpoint(folder, engine=config.engine, seed=config.seed), warm_start=warm_start)
