"""Nothing that is not a number reaches the weights: the losses and the gradient of every step are looked at before it is taken.

    training_step --note--> backward --> norm of the gradient --is_good--> clip and step | leave it out | end the run

All processes come to the same verdict, because they judge what they have agreed on.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from diffdrive.contracts import InputError
from diffdrive.training.cache import PackedBatch
from diffdrive.training.config import OnNan, OptimizerConfig
from diffdrive.training.objectives import LossTerms

logger = logging.getLogger(__name__)

SCALER_PATIENCE = 32
"""Steps in a row that a gradient scaler may leave out. It starts at 2 ** 16 and halves at each, so by then it has found its
level, if there is one."""

_NAMES_SHOWN = 3


class StepGuard:
    """Judges every optimiser step of ``model``."""

    def __init__(self, model: nn.Module, config: OptimizerConfig, tokens_of: Callable[[int, int], Sequence[str]]) -> None:
        """``tokens_of(step, micro)`` names the scenes of this process's batch ``micro`` of a step."""
        self.num_skipped = 0
        """Steps left out so far."""

        self._model, self._config, self._tokens_of = model, config, tokens_of
        self._in_row = 0
        self._noted: list[_Noted] = []
        self._statistics: list[Tensor] = []

    def begin(self) -> None:
        """Before a step's first batch. Keeps what a forward pass changes by itself: the statistics of batch norms."""
        self._noted.clear()
        present = list(self._model.buffers())
        if self._statistics:
            torch._foreach_copy_(self._statistics, present)
        else:
            self._statistics = [buffer.detach().clone() for buffer in present]

    def note(self, batch: PackedBatch, losses: LossTerms) -> None:
        """What the step's next batch gave."""
        self._noted.append(_Noted(batch, {name: value.detach() for name, value in losses.terms.items()}))

    def is_good(self, step: int, norm: Tensor, *, has_scaler: bool = False) -> bool:
        """Whether optimiser step ``step`` may be taken; ``norm`` is that of the whole gradient, equal in all processes.

        Where not, the gradient is gone and the batch norms are as before. ``has_scaler`` leaves a gradient that overflowed
        under finite losses to a gradient scaler. Raises ``InputError``, in every process, where the run has to end.
        """
        is_loss_bad = self._agreed(~torch.stack([noted.total.to(norm.device) for noted in self._noted]).isfinite().all())
        if not is_loss_bad and bool(norm.isfinite()):
            self._in_row = 0
            return True
        self._in_row += 1
        self.num_skipped += 1
        is_expected = has_scaler and not is_loss_bad
        may_skip = is_expected or self._config.on_nan is OnNan.SKIP
        patience = SCALER_PATIENCE if is_expected else self._config.max_skips_in_row
        if not may_skip or self._in_row > patience:
            raise InputError(f"{self._report(step, is_loss_bad)} {self._way_out(may_skip)}")
        if not is_expected:
            logger.warning("%s The step is left out (%d so far).", self._report(step, is_loss_bad), self.num_skipped)
        self._put_back()
        return False

    def _put_back(self) -> None:
        torch._foreach_copy_(list(self._model.buffers()), self._statistics)
        for parameter in self._model.parameters():
            parameter.grad = None

    def _agreed(self, is_bad: Tensor) -> bool:
        """Whether any process says so."""
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            flag = is_bad.float()
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            return bool(flag)
        return bool(is_bad)

    # What is said

    def _report(self, step: int, is_loss_bad: bool) -> str:
        """Every process must ask for it."""
        own = [
            noted.described(self._tokens_of(step, micro))
            for micro, noted in enumerate(self._noted)
            if not is_loss_bad or not noted.total.isfinite()
        ]
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            everyones: list[list[str]] = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(everyones, own)
            own = [f"Process {rank}: {text}" for rank, texts in enumerate(everyones) for text in texts]
        what = "a loss is not finite." if is_loss_bad else f"the gradient is not finite though all losses are{self._where()}."
        return f"Step {step}: {what} {' '.join(own)}"

    def _where(self) -> str:
        broken = [
            name
            for name, parameter in self._model.named_parameters()
            if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
        ]
        more = f" and {len(broken) - _NAMES_SHOWN} more" if len(broken) > _NAMES_SHOWN else ""
        return f", in {', '.join(broken[:_NAMES_SHOWN])}{more}" if broken else ""

    def _way_out(self, may_skip: bool) -> str:
        after = f"That was {self._in_row} steps in a row. " if self._in_row > 1 else ""
        advice = "" if may_skip else ", or set optimizer.on_nan=skip"
        return f"{after}Look at these scenes, lower optimizer.lr, set optimizer.gradient_clip_norm{advice}."


@dataclass(frozen=True, slots=True)
class _Noted:
    batch: PackedBatch
    terms: dict[str, Tensor]

    @property
    def total(self) -> Tensor:
        return torch.stack(list(self.terms.values())).sum()

    def described(self, tokens: Sequence[str]) -> str:
        values = ", ".join(f"{name} {float(value):.4g}" for name, value in self.terms.items())
        broken = [f"'{token}'" for token, is_broken in zip(tokens, _rows_not_finite(self.batch), strict=False) if is_broken]
        given = f" Not finite as they are: {', '.join(broken)}." if broken else ""
        return f"Losses: {values}. Scenes: {', '.join(tokens) or 'not known'}.{given}"


def _rows_not_finite(batch: PackedBatch) -> list[bool]:
    """[B] whether a sample holds a number that is none, before the network saw it."""
    found = torch.zeros(len(batch), dtype=torch.bool, device=batch.status.device)
    for field in dataclasses.fields(batch):
        tensor = getattr(batch, field.name)
        if tensor.is_floating_point():
            found |= ~tensor.flatten(1).isfinite().all(dim=1)
    return [bool(value) for value in found.tolist()]
