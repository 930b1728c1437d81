"""The network compiled with torch.compile, under the same names."""

from __future__ import annotations

import torch

from diffdrive.model import PlannerModel


def compile_network(model: PlannerModel, *, backend: str = "inductor") -> None:
    """Compile the two halves of ``model`` in place, when they are first called.

    The methods are compiled, not the modules, so that weights keep their names and checkpoints are interchangeable. Compiled
    once: a second call does nothing.
    """
    if "encode" in vars(model):
        return
    model.encode = torch.compile(model.encode, backend=backend)  # type: ignore[method-assign]
    model.decode = torch.compile(model.decode, backend=backend)  # type: ignore[method-assign]
