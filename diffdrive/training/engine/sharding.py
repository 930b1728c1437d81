"""FSDP: weights, gradients, optimiser state and the running average are cut into as many pieces as there are processes.

Built on torch's ``fully_shard`` through Lightning's ``ModelParallelStrategy``; works on GPUs (NCCL) and on CPUs (gloo).
Statistics of batch normalisation are buffers, which FSDP leaves whole; with mixed precision the weights stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.training.engine.whole_state import local, part_for, whole
from diffdrive.training.lightning_module import PlannerLightningModule
from diffdrive.training.optim import WeightAverage

_MARK = "diffdrive_sharded"


class ShardedPlannerModule(PlannerLightningModule):
    """As its parent, with everything that has the size of the weights in pieces. Checkpoints hold whole tensors."""

    def configure_model(self) -> None:
        """Cut the network up. Lightning calls this before every stage; only the first call does something."""
        from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

        if isinstance(self, FSDPModule):
            return
        # A piece is a range of rows in memory.
        self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        mesh = cast(DeviceMesh, self.device_mesh)["data_parallel"]
        for block in blocks_of(self.model):
            fully_shard(block, mesh=mesh)
        fully_shard(self, mesh=mesh)
        register_fsdp_forward_method(self, "training_step")
        if self.average is not None:
            self.average = ShardedAverage(self.model, self.average)

    def on_validation_start(self) -> None:
        """Gather the averaged weights once. Processes may then plan as many batches as each has."""
        super().on_validation_start()
        for part in self._parts():
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()

    def on_validation_end(self) -> None:
        for part in self._parts():
            part.reshard()
            # The root is needed first in the backward pass: it stays gathered from the forward pass on, as torch does.
            part.set_reshard_after_forward(part is not self, recurse=False)
        super().on_validation_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[_MARK] = True

    def _parts(self) -> list[Any]:
        from torch.distributed.fsdp import FSDPModule

        return [module for module in self.modules() if isinstance(module, FSDPModule)]


def check_resumable(checkpoint: Path) -> None:
    """Raise ``InputError`` for a checkpoint of a run without FSDP: its optimiser state is numbered by group, which Lightning
    reads as if it were numbered by the order of the network's parameters."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False, mmap=True)
    if not saved.get(_MARK, False):
        raise InputError(
            f"'{checkpoint}' was not written with strategy=fsdp, and its optimiser state cannot be cut up. Resume with "
            "strategy=ddp, or begin a new run from its export with initial.checkpoint."
        )


def blocks_of(model: PlannerModel) -> list[nn.Module]:
    """What is gathered for its own forward pass alone: nine tenths of the base model. The rest is gathered at once.

    Each takes tensors and returns tensors, which FSDP needs to notice when their gradients come back.
    """
    backbone = model.backbone
    lists = (backbone.image_encoder.stages, backbone.lidar_encoder.stages, backbone.fusion, model.neck.layers)
    return [block for blocks in lists for block in blocks]


class ShardedAverage(WeightAverage):
    """The running average of a sharded module: this process averages its own pieces, checkpoints hold it whole."""

    def __init__(self, model: nn.Module, before: WeightAverage) -> None:
        self._model = model
        super().__init__(_pieces(model), before.decay)
        self.num_updates = before.num_updates

    def update(self, model: nn.Module) -> None:
        super().update(_pieces(model))

    def to_dict(self) -> dict[str, Any]:
        """Every process must call this."""
        with self.applied_to(self._model):
            state = {name: whole(tensor.detach()).cpu().clone() for name, tensor in self._model.state_dict().items()}
        return {"num_updates": self.num_updates, "state": state}

    def load_dict(self, saved: dict[str, Any]) -> None:
        """Every process must call this."""
        like = self._model.state_dict()
        known = saved["state"].keys() & like.keys()
        pieces = {name: part_for(like[name], value) if name in known else value for name, value in saved["state"].items()}
        super().load_dict(saved | {"state": pieces})

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        with super().applied_to(_pieces(model)):
            yield


class _Pieces:
    """A sharded module's state, as plain tensors that share the memory of this process's pieces."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def state_dict(self) -> dict[str, Tensor]:
        return {name: local(tensor.detach()) for name, tensor in self.model.state_dict().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])


def _pieces(model: nn.Module) -> nn.Module:
    return cast(nn.Module, _Pieces(model))
