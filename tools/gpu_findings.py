"""What the check of a GPU works with, and what it notes down: checks that hold or do not, numbers, and what was left out."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from diffdrive.contracts import InputError
from diffdrive.diffusion import JUMP_TABLES
from diffdrive.model import PLANNERS, PlannerModel
from diffdrive.runtime import EngineOptions, Precision
from diffdrive.runtime.latency import EngineChoice, LoopSettings, Subject, random_planner
from diffdrive.scene import Observation

REQUIRED = ("plain", "eager", "cuda_graph")
"""Engines that need nothing but torch: where one of these cannot be made, a check fails."""


@dataclass(slots=True)
class Findings:
    """Of one section."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    """What was left out, and why."""

    def check(self, name: str, holds: bool, detail: str = "") -> None:
        """Note whether ``name`` holds."""
        self.checks.append({"name": name, "ok": bool(holds), "detail": detail})

    @contextlib.contextmanager
    def guard(self, name: str) -> Iterator[None]:
        """An error inside is a check that fails, with its traceback; what follows goes on."""
        try:
            yield
        except _UnavailableError as reason:
            self.skipped[name] = str(reason)
        except Exception:
            self.check(name, False, traceback.format_exc())
        finally:
            # Engines hold themselves through their stages; without this, tens of them would lie on the device.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


class _UnavailableError(Exception):
    """An engine that cannot be had here, or not as it was asked for, and need not."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is checked, and with what."""

    device: torch.device
    models: tuple[str, ...]
    """Most important first."""

    precisions: tuple[Precision, ...]
    engines: tuple[str, ...]
    """Besides the plain one."""

    loop: LoopSettings
    observations: tuple[Observation, ...]
    remaining_s: Callable[[], float]
    clock: Callable[[], float]

    @property
    def has_gpu(self) -> bool:
        return self.device.type == "cuda"

    def subject(
        self, choice: EngineChoice, model: str, *, jumps: str = "reference", batch_size: int = 1, seed: int = 0
    ) -> Subject:
        """The engine of ``choice`` on random weights, warmed up. ``seed`` is that of the weights and of the noise."""
        options = EngineOptions(
            jumps=JUMP_TABLES[jumps], device=str(self.device), precision=choice.precision, batch_size=batch_size
        )
        try:
            subject = Subject.make(choice, copy.deepcopy(random_model(model, seed)), options, seed=seed)
        except (ImportError, InputError) as error:
            if choice.name in REQUIRED:
                raise
            raise _UnavailableError(str(error)) from error
        subject.engine.warm_up()
        if subject.engine.degraded and choice.name not in REQUIRED:
            raise _UnavailableError(subject.engine.degraded)
        return subject

    def is_late(self, findings: Findings, what: str, needed_s: float = 0.0) -> bool:
        """Note that ``what`` is left out where the time that is left is less than ``needed_s``."""
        left = self.remaining_s()
        if left > needed_s:
            return False
        findings.skipped[what] = f"{max(left, 0.0):.0f} s of the time budget were left"
        return True


@functools.cache
def random_model(name: str, seed: int) -> PlannerModel:
    """The network called ``name`` with random weights. Copy it before an engine takes it."""
    return random_planner(PLANNERS[name](), seed)


@contextlib.contextmanager
def strict_float32() -> Iterator[None]:
    """No TF32: its ten bits of mantissa would hide what parity is about."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products
