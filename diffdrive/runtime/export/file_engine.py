"""What all engines that run an exported file have in common: everything but the call that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model.inference import proposals_of
from diffdrive.runtime.checks import check_request, empty_inputs
from diffdrive.runtime.engine import EngineSpec, StageMark, no_mark
from diffdrive.runtime.export.exported import ANY_DEVICE, Exported
from diffdrive.tensors import PlannerInputs, Proposals


class Session(Protocol):
    """A loaded file. Takes camera, lidar, status and noise, returns the outputs that the file describes.

    All tensors are float32, contiguous and on the session's device. The returned ones may lie in buffers that the next
    call overwrites.
    """

    def __call__(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]: ...


class FileEngine:
    """An engine around a ``Session``. Subclasses say how a file is opened; their constructors export first.

    One engine serves one thread at a time.
    """

    name: str
    degraded = ""
    device: torch.device
    _exported: Exported
    _session: Session

    @classmethod
    def open(cls, path: Path | str, device: str | None = None) -> Self:
        """The engine of an exported file; it needs no model. ``device`` None: the file's own, else the CPU.

        Raises ``InputError`` for a file that is missing, broken or of another kind, or that does not run on ``device``;
        ``ImportError`` naming the extra where a package is missing.
        """
        engine = cls.__new__(cls)
        engine._load(Path(path), device)
        return engine

    def _load(self, path: Path, device: str | None) -> None:
        if not path.is_file():
            raise InputError(f"There is no file '{path}'. Write it with 'diffdrive export'.")
        self._exported = self._describe(path)
        self.device = _device(self._exported, device, path)
        self._session = self._start(path)

    def _describe(self, path: Path) -> Exported:
        """What the file says about itself, found without running any of it."""
        raise NotImplementedError

    def _start(self, path: Path) -> Session:
        """The session of the file on ``self.device``."""
        raise NotImplementedError

    @property
    def spec(self) -> EngineSpec:
        """The sizes the file was exported for."""
        return self._exported.engine

    @property
    def exported(self) -> Exported:
        """What the file says about itself."""
        return self._exported

    @property
    def description(self) -> str:
        """Passes, number format, device, and what wrote the file."""
        exported = self._exported
        passes = "1 pass" if len(exported.jumps.jumps) == 1 else f"{len(exported.jumps.jumps)} passes"
        return f"{self.name}: {passes}, {exported.precision.value}, {self.device}, from {exported.made_with}"

    def warm_up(self) -> None:
        """One plan of nothing."""
        inputs, noise = empty_inputs(self.spec, self.device)
        self.run(inputs, noise)

    @torch.inference_mode()
    def run(self, inputs: PlannerInputs, noise: Tensor, mark: StageMark = no_mark) -> Proposals:
        """Plan a batch: the last layer of the last pass. What it returns may be overwritten by the next call."""
        check_request(self.spec, inputs, noise)
        given = (inputs.camera, inputs.lidar, inputs.status, noise)
        elsewhere = {str(tensor.device) for tensor in given if tensor.device != self.device}
        if elsewhere:
            # Compiled code reads addresses: one of another device ends the process.
            raise InputError(f"This engine runs on {self.device}, got tensors on {', '.join(sorted(elsewhere))}.")
        outputs = self._session([tensor.contiguous() for tensor in given])
        mark("network")
        return proposals_of(self._exported.output_names, tuple(outputs))


def _device(exported: Exported, device: str | None, path: Path) -> torch.device:
    kind = exported.device_type
    wanted = torch.device(device or ("cpu" if kind == ANY_DEVICE else kind))
    if kind not in (ANY_DEVICE, wanted.type):
        raise InputError(f"'{path}' was exported for {kind} and cannot run on {wanted}. Export it with --device {wanted.type}.")
    if wanted.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError(f"'{path}' is to run on {wanted}, but torch sees no CUDA device here.")
        # Tensors say cuda:0 where people say cuda.
        return torch.device("cuda", torch.cuda.current_device() if wanted.index is None else wanted.index)
    return wanted
