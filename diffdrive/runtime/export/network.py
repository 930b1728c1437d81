"""The network as it is exported, inputs to trace and check it with, and the check itself."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.model.inference import InferenceModel
from diffdrive.runtime.checks import checked_jumps
from diffdrive.runtime.engine import EngineOptions, Precision
from diffdrive.runtime.export.exported import Exported

LARGEST_DIFFERENCE = {Precision.FLOAT32: 1e-3, Precision.FLOAT16: 0.05, Precision.BFLOAT16: 0.5}
"""Of poses (metres, radians) and logits between a file and the network it was made from, in the same number format. Other
orders of summation give a hundredth of it; a wrong operator gives more."""


def network_of(model: PlannerModel, options: EngineOptions, device: str) -> InferenceModel:
    """What is exported: the network for ``options`` on ``device``. ``model`` stays as it is."""
    jumps = checked_jumps(options.jumps, model.config)
    network = InferenceModel(
        model,
        jumps,
        dtype=options.precision.dtype,
        wants_agents=options.wants_agents,
        wants_bev=options.wants_bev,
    )
    return network.to(device)


def random_inputs(exported: Exported, device: str, seed: int = 0) -> tuple[Tensor, ...]:
    """Camera, lidar, status and noise of no real scene, but in the range of real ones."""
    generator = torch.Generator().manual_seed(seed)
    camera, lidar, status, noise = (tensor.shape for tensor in exported.inputs)
    most = exported.engine.inputs.lidar_max_count
    motion = torch.zeros(status)
    motion[:, 1] = 1.0  # the command "straight", at some speed
    motion[:, 4:] = torch.randn(status[0], 4, generator=generator) * torch.tensor([5.0, 0.5, 1.0, 1.0])
    tensors = (
        torch.rand(camera, generator=generator),
        torch.randint(0, most + 1, lidar, generator=generator) / most,
        motion,
        torch.randn(noise, generator=generator),
    )
    return tuple(tensor.to(device) for tensor in tensors)


def check_same(exported: Exported, expected: Sequence[Tensor], given: Sequence[Tensor]) -> None:
    """Raise ``RuntimeError`` unless an exported file answers as the network that it was made from.

    Exporters and compilers have bugs, and a wrong trajectory does not look wrong in a log.
    """
    bound = LARGEST_DIFFERENCE[exported.precision]
    for output, right, answer in zip(exported.outputs[:2], expected, given, strict=False):
        has_shape = tuple(answer.shape) == output.shape
        difference = float((right.cpu() - answer.cpu()).abs().max()) if has_shape else float("inf")
        if not difference <= bound:  # NaN is no answer either
            raise RuntimeError(
                f"The exported network's {output.name}, of shape {list(answer.shape)}, differ by {difference:.3g} from the "
                f"model's; up to {bound:g} would be rounding. Nothing was written. Made with {exported.made_with}."
            )


@contextlib.contextmanager
def written_aside(path: Path, suffix: str) -> Iterator[Path]:
    """A path to write to; what is there at the end is moved to ``path``, and after an error nothing is.

    Raises ``InputError`` for another suffix and for a folder that does not exist.
    """
    if path.suffix != suffix:
        raise InputError(f"The file must end in {suffix}, got '{path}'.")
    if not path.parent.is_dir():
        raise InputError(f"The folder '{path.parent}' does not exist. Create it first.")
    # A folder aside, not a name aside: torch writes the file's own name into a .pt2 archive.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        aside = Path(folder) / path.name
        yield aside
        aside.replace(path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporters tell about themselves: constants left unfolded, functions of their own deprecated."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
