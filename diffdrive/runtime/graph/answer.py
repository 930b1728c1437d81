"""Where a run leaves its results in host memory, made so that the results of an earlier run cannot pass for it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffdrive.runtime.graph.recorder import Recorder


class StaleAnswerError(RuntimeError):
    """The device did not do the work of this run: what lies in the buffers belongs to an earlier one."""


class Answer:
    """Fixed host buffers for outputs like ``examples``, and a ticket that travels through the device with every run.

    ``expect`` writes a new ticket into host memory, ``admit`` takes it to the device before the network, ``deliver`` brings
    outputs and ticket back after it, and ``collect`` compares. A replay that did nothing returns the ticket of an earlier
    run. The buffers are NaN meanwhile, so that a part that was not delivered is no number either.
    """

    def __init__(self, recorder: Recorder, examples: Sequence[Tensor]) -> None:
        self._values = tuple(recorder.host(tuple(example.shape), torch.float32) for example in examples)
        self._ticket = recorder.host((1,), torch.int64)
        self._returned = recorder.host((1,), torch.int64)
        self._on_device = torch.zeros(1, dtype=torch.int64, device=recorder.device)

    def expect(self) -> None:
        """Before a run, on the host: forget every earlier one."""
        self._ticket += 1
        for value in self._values:
            value.fill_(torch.nan)

    def admit(self) -> None:
        """First work of a run: take the ticket."""
        self._on_device.copy_(self._ticket, non_blocking=True)

    def deliver(self, outputs: Sequence[Tensor]) -> None:
        """Last work of a run: hand over results and ticket. Casts to float32."""
        for value, output in zip(self._values, outputs, strict=True):
            # Casts and rearrangements are done on the device, so that the way to the host is a plain copy.
            value.copy_(output.to(torch.float32).contiguous(), non_blocking=True)
        self._returned.copy_(self._on_device, non_blocking=True)

    def collect(self) -> tuple[Tensor, ...]:
        """Copies of the results, after the run has been waited for. Raises ``StaleAnswerError`` for another run's."""
        ticket, returned = int(self._ticket), int(self._returned)
        if returned != ticket:
            raise StaleAnswerError(f"Run {ticket} returned the ticket of run {returned}: the device did not do its work.")
        return tuple(value.clone() for value in self._values)
