"""State of a module as whole tensors, also where its parameters are cut up over the processes (FSDP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """Copies of the state of ``module``, whole. With sharded parameters every process must call this."""
    return {name: whole(tensor.detach()).clone() for name, tensor in module.state_dict().items()}


@torch.no_grad()
def load_whole_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Undo ``whole_state``. With sharded parameters every process must call this, and the first one's values count."""
    own = module.state_dict()
    if own.keys() != state.keys():
        raise KeyError(f"state of another module: {sorted(own.keys() ^ state.keys())[:3]} ...")
    for name, tensor in own.items():
        local(tensor).copy_(part_for(tensor, state[name]))


def whole(tensor: Tensor) -> Tensor:
    """All of a sharded tensor; another one as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor, sharing its memory; another one as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def part_for(like: Tensor, value: Tensor) -> Tensor:
    """This process's part of the whole tensor ``value``, if it were cut up as ``like`` is."""
    if not isinstance(like, DTensor):
        return value
    device: Any = like.device_mesh.device_type
    return local(distribute_tensor(value.to(device), like.device_mesh, like.placements))
