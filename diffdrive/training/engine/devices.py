"""Processes and how they share a run: one, DDP, or FSDP; started by Lightning, torchrun or Slurm."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from diffdrive.contracts import InputError
from diffdrive.training.config import Strategy, TrainingConfig
from diffdrive.training.lightning import environments, pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Who started this process."""

    by: str
    """``torchrun``, ``Slurm`` or ``Lightning``."""

    rank: int
    processes: int | None
    """Of the whole run; None where Lightning starts as many as the configuration says."""


def launch_of_this_process() -> Launch:
    """Read from the environment, as Lightning does."""
    if environments.TorchElasticEnvironment.detect():
        return Launch(by="torchrun", rank=int(os.environ["RANK"]), processes=int(os.environ["WORLD_SIZE"]))
    if environments.SLURMEnvironment.detect():
        return Launch(by="Slurm", rank=int(os.environ["SLURM_PROCID"]), processes=int(os.environ["SLURM_NTASKS"]))
    # Lightning starts the others of its machine itself and tells them their number.
    return Launch(by="Lightning", rank=int(os.environ.get("LOCAL_RANK", "0")), processes=None)


def check_launch(config: TrainingConfig) -> None:
    """Raise ``InputError`` unless as many processes were started as the configuration says."""
    launch = launch_of_this_process()
    if launch.processes is None and config.nodes > 1:
        raise InputError(
            f"nodes = {config.nodes}, but nothing started the other machines' processes. Start all of them with torchrun or "
            "srun: docs/training-scale.md."
        )
    if launch.processes is not None and launch.processes != config.processes:
        raise InputError(
            f"{launch.by} started {launch.processes} processes, and the configuration asks for {config.processes} "
            f"(devices = {config.devices} on each of nodes = {config.nodes}). Make them agree."
        )


def strategy_of(config: TrainingConfig) -> Any:
    """For ``pl.Trainer(strategy=...)``."""
    if config.strategy is Strategy.FSDP:
        # One consolidated file: it resumes on another number of devices, and without any.
        return pl.strategies.ModelParallelStrategy(
            data_parallel_size=config.processes, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    return "auto" if config.processes == 1 else "ddp"


def plugins_of() -> list[Any]:
    """For ``pl.Trainer(plugins=...)``: under Slurm, leave saving and queueing again to this package and the job's script."""
    launch = launch_of_this_process()
    return [environments.SLURMEnvironment(auto_requeue=False)] if launch.by == "Slurm" else []
