"""The planner inside the process that gets killed: a real ``Planner`` around an engine that fails when it is told to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from diffdrive.model import planner_config
from diffdrive.runtime import Engine, EngineOptions, EngineSpec, Plan, Planner, make_engine
from diffdrive.runtime.engine import StageMark, no_mark
from diffdrive.scene import Observation
from diffdrive.simulation.soak.faults import FaultKind
from diffdrive.tensors import LayerProposals, PlannerInputs, Proposals

_HELD_MB = 256
_SPARE_BYTES = 8 << 20
_FAR_M = 60.0


class SabotagedEngine:
    """``engine``, but for what ``fault`` does to it; ``slow_s`` is how long SLOW sleeps."""

    def __init__(self, engine: Engine, slow_s: float) -> None:
        self._engine, self._slow_s = engine, slow_s
        self.fault: FaultKind | None = None
        self.name, self.description, self.degraded = engine.name, engine.description, engine.degraded
        self.spec, self.device = engine.spec, engine.device

    def warm_up(self) -> None:
        """Before anything fails."""
        self._engine.warm_up()

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan a batch, or fail."""
        before: dict[FaultKind, Callable[[], None]] = {
            FaultKind.ENGINE_RAISES: _raise,
            FaultKind.SLOW: lambda: time.sleep(self._slow_s),
            FaultKind.HANGS: lambda: time.sleep(1e6),
            FaultKind.KILLED: lambda: os.kill(os.getpid(), signal.SIGKILL),
        }
        after: dict[FaultKind, Callable[[Proposals], Proposals]] = {
            FaultKind.OUTPUT_NOT_FINITE: lambda answer: _answer(answer, answer.poses * torch.nan),
            FaultKind.OUTPUT_MALFORMED: lambda answer: _answer(answer, answer.poses[:, :, :-1]),
            FaultKind.OUTPUT_WILD: lambda answer: _answer(answer, _wild(answer.poses)),
        }
        fault = self.fault
        if fault in before:
            before[fault]()
        with _memory_pressure() if fault is FaultKind.MEMORY_PRESSURE else nullcontext():
            answer = self._engine.run(inputs, noise, mark)
        return after[fault](answer) if fault in after else answer


class SabotagedPlanner:
    """A planner whose every call can be told what to suffer."""

    def __init__(self, engine: Engine, slow_s: float) -> None:
        self._engine = SabotagedEngine(engine, slow_s)
        self._planner = Planner(self._engine)

    def warm_up(self) -> None:
        """As ``Planner``."""
        self._planner.warm_up()

    def plan(self, observation: Observation, noise: np.ndarray | None, fault: FaultKind | None) -> Plan:
        """As ``Planner``, but for ``fault``."""
        if fault is FaultKind.PLANNER_RAISES:
            _raise()
        self._engine.fault = fault
        return self._planner.plan(observation, noise=noise)


class ArcsEngine:
    """In place of a network: arcs from the present speed, nearly as quick as nothing. Knows neither roads nor others."""

    name, description, degraded = "arcs", "arcs of the present speed, no network", ""

    def __init__(self) -> None:
        self.spec = replace(EngineSpec.of(planner_config("nano")), num_modes=20)
        self.device = torch.device("cpu")

    def warm_up(self) -> None:
        """Nothing to do."""

    def run(self, inputs: PlannerInputs, noise: torch.Tensor, mark: StageMark = no_mark) -> Proposals:
        """Modes differ in bending and in speeding up."""
        spec = self.spec
        times = torch.arange(1, spec.num_poses + 1) * spec.interval_s
        curvatures = torch.linspace(-0.02, 0.02, spec.num_modes)[None, :, None]
        changes = torch.linspace(-1.0, 1.0, spec.num_modes).roll(7)[None, :, None]
        speed = inputs.status[:, 4].clamp(min=0.0)[:, None, None]
        moving = torch.where(changes < 0, torch.minimum(times, -speed / changes.clamp(max=-1e-3)), times)
        ways = speed * moving + changes * moving**2 / 2
        turns = ways * curvatures
        chords = ways * torch.sinc(turns / (2 * torch.pi))
        poses = torch.stack([chords * torch.cos(turns / 2), chords * torch.sin(turns / 2), turns], dim=-1)
        logits = 1.0 - 40 * curvatures[..., 0].abs() - 0.2 * changes[..., 0].abs() + 0.01 * noise.mean(dim=(2, 3))
        return Proposals(passes=((LayerProposals(poses, logits),),))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerMaker:
    """What the child process makes: a network of ``checkpoint``, or arcs where there is none."""

    checkpoint: Path | None
    slow_s: float
    """How long SLOW sleeps: more than the deadline."""

    threads: int = 1

    def __call__(self) -> SabotagedPlanner:
        """Raises ``InputError`` for a checkpoint that cannot be read."""
        from diffdrive.model.checkpoint import load_checkpoint

        torch.set_num_threads(self.threads)
        if self.checkpoint is None:
            return SabotagedPlanner(ArcsEngine(), self.slow_s)
        engine = make_engine("eager", load_checkpoint(self.checkpoint), EngineOptions())
        return SabotagedPlanner(engine, self.slow_s)


def _raise() -> None:
    raise RuntimeError("a fault of the soak")


def _answer(answer: Proposals, poses: torch.Tensor) -> Proposals:
    return Proposals(passes=((LayerProposals(poses, answer.logits),),))


def _wild(poses: torch.Tensor) -> torch.Tensor:
    """Every pose 60 m aside of the one before, to the left and to the right in turns."""
    sides = torch.tensor([1.0, -1.0]).repeat(poses.shape[2] // 2 + 1)[: poses.shape[2]]
    return poses + torch.stack([0 * sides, _FAR_M * sides, sides], dim=-1)


@contextmanager
def _memory_pressure() -> Iterator[None]:
    """Hold memory, and let the system give no more than a little."""
    import resource

    held = np.ones(_HELD_MB << 20, dtype=np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _SPARE_BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        del held
