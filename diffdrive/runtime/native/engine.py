"""The native engine: the inference network with convolutions compiled for this processor."""

from __future__ import annotations

from diffdrive.model import PlannerModel
from diffdrive.runtime.eager import EagerEngine
from diffdrive.runtime.engine import EngineOptions
from diffdrive.runtime.native.library import NativeUnavailableError
from diffdrive.runtime.native.winograd import use_winograd


class NativeEngine(EagerEngine):
    """``EagerEngine`` with Winograd convolutions, still exact in float32. For CPUs, any batch size.

    Needs a C++ compiler the first time it is made on a machine. Where there is none, or the device is no CPU, it runs as the
    eager engine does and ``degraded`` says so.
    """

    name = "native"

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        super().__init__(model, options)
        self._replaced, reason = 0, ""
        try:
            if self.device.type != "cpu":
                raise NativeUnavailableError(f"The native kernels run on the CPU, not on {self.device}.")
            self._replaced = use_winograd(self._network)
        except NativeUnavailableError as error:
            reason = f"The network runs without native kernels: {error}"
        self.degraded = " ".join(part for part in (self.degraded, reason) if part)

    @property
    def description(self) -> str:
        """Number format, device and how many convolutions run natively."""
        return f"{super().description}, {self._replaced} Winograd convolutions"
