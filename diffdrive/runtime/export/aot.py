"""The network compiled ahead of time by AOTInductor: one .pt2 package of machine code and weights, needing libtorch alone."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.runtime.engine import EngineOptions
from diffdrive.runtime.export.exported import KEY, Exported, from_metadata
from diffdrive.runtime.export.file_engine import FileEngine
from diffdrive.runtime.export.network import check_same, network_of, quiet, random_inputs, written_aside

SUFFIX = ".pt2"
PACKAGED_MODEL = "model"
"""What torch calls the only network of a package."""


def export_aot(model: PlannerModel, path: Path | str, options: EngineOptions | None = None) -> Exported:
    """Compile the network of ``model`` for ``options`` to ``path``, once the package has shown that it answers the same.

    It is compiled for this machine's processor (and GPU, for a CUDA device). That takes a minute or two and a C++ compiler;
    opening the package takes neither. Raises ``InputError`` without a compiler, for another suffix than .pt2, a missing
    folder, and a device that torch does not see.
    """
    path, options = Path(path), options or EngineOptions()
    device = torch.device(options.device)
    _need_compiler()
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"Code for {device} is compiled on a machine that has one, and torch sees no CUDA device here.")
    exported = Exported.of(model.config, options, device_type=device.type, made_with=f"torch {torch.__version__}, AOTInductor")
    with written_aside(path, SUFFIX) as aside, torch.inference_mode(False), torch.no_grad(), quiet():
        network, inputs = network_of(model, options, options.device), random_inputs(exported, options.device)
        torch._inductor.aoti_compile_and_package(
            torch.export.export(network, inputs),
            package_path=str(aside),
            inductor_configs={"aot_inductor.metadata": {KEY: exported.to_json()}},
        )
        check_same(exported, network(*inputs), AotSession(aside, device)(inputs))
    return exported


class AotEngine(FileEngine):
    """Runs a .pt2 package: on the CPU, or on CUDA when it was compiled there (that path has not been run by its authors).

    The constructor compiles, which takes minutes; ``AotEngine.open(path)`` takes a blink. A package runs where processor
    and libtorch are those it was made for.
    """

    name = "aot"

    def __init__(self, model: PlannerModel, options: EngineOptions | None = None) -> None:
        options = options or EngineOptions()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"planner{SUFFIX}"
            export_aot(model, path, options)
            self._load(path, options.device)

    def _describe(self, path: Path) -> Exported:
        metadata = package_metadata(path)
        exported = from_metadata(metadata, path)
        _check_machine(metadata, path)
        return exported

    def _start(self, path: Path) -> AotSession:
        return AotSession(path, self.device)


class AotSession:
    """A package in memory. Returns new tensors."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self._run = _loaded(path, device)

    def __call__(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        return self._run(list(inputs))


def package_metadata(path: Path) -> dict[str, str]:
    """The metadata of a package, read as what it is, a zip archive: none of its code is loaded.

    Raises ``InputError`` for a file that is no such archive.
    """
    metadata: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if "/data/aotinductor/" in name and name.endswith("_metadata.json"):
                    metadata |= json.loads(archive.read(name))
    except (zipfile.BadZipFile, ValueError) as error:
        raise InputError(f"'{path}' is no .pt2 package ({error}). Export the planner again.") from error
    return metadata


def _check_machine(metadata: dict[str, str], path: Path) -> None:
    """Machine code of another processor ends the process with an illegal instruction: better to say so."""
    made_for = (metadata.get("AOTI_PLATFORM", sys.platform), metadata.get("AOTI_MACHINE", platform.machine()))
    if made_for != (sys.platform, platform.machine()):
        raise InputError(
            f"'{path}' was compiled for {' on '.join(made_for)}, and this is {sys.platform} on {platform.machine()}. "
            "Export it on a machine like the one it is to run on."
        )
    needs = metadata.get("AOTI_CPU_ISA", "").upper()
    has = torch.backends.cpu.get_cpu_capability()
    if needs.startswith("AVX512") and has != "AVX512":
        raise InputError(f"'{path}' was compiled for {needs}, and this processor has {has}. Export it on one like this.")


def _loaded(path: Path, device: torch.device) -> Any:
    """The package as a function of a list of tensors.

    torch's loader itself, where it has the shape it has had since 2.8: ``torch._inductor.aoti_load_package`` wraps it, but
    imports the compiler (3 s and 80 MB) and looks for g++ to say whether the processor is the same.
    """
    index = -1 if device.index is None else device.index
    try:
        loader = torch._C._aoti.AOTIModelPackageLoader
        return loader(str(path), PACKAGED_MODEL, False, 1, index).run
    except (AttributeError, TypeError):
        package = torch._inductor.aoti_load_package(str(path))
        return lambda inputs: package(*inputs)


def _need_compiler() -> None:
    from torch._inductor import cpp_builder

    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:  # torch's class for it has moved from version to version
        raise InputError(
            "Compiling a planner ahead of time needs a C++ compiler, and there is none. Install g++ (or name one in the "
            "environment variable CXX); only the export needs it, not the vehicle."
        ) from error
