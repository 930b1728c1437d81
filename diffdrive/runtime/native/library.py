"""Compile the C++ of this folder once for this processor, keep the result, load it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).with_name("winograd.cpp")
FLAGS = ("-O3", "-march=native", "-std=gnu++17", "-fopenmp", "-shared", "-fPIC")
CACHE_VARIABLE = "DIFFDRIVE_CACHE"
TIMEOUT_S = 120


class NativeUnavailableError(RuntimeError):
    """The kernels cannot be compiled or loaded here. The message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class NativeLibrary:
    """The loaded kernels."""

    functions: ctypes.CDLL
    panel: int
    """Output channels per panel of the transformed kernel."""


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``$DIFFDRIVE_CACHE``, else ``$XDG_CACHE_HOME`` or ``~/.cache``, in ``diffdrive``."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen) / "native"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diffdrive" / "native"


@lru_cache(maxsize=1)
def load_library() -> NativeLibrary:
    """The kernels, compiled at the first call on a machine (a few seconds), loaded once per process.

    Raises ``NativeUnavailableError`` where there is no C++ compiler, or it fails.
    """
    compiler = _compiler()
    file = cache_folder() / f"winograd-{_fingerprint(compiler)}.so"
    if not file.is_file():
        _compile(compiler, file)
    try:
        functions = ctypes.CDLL(str(file))
    except OSError as error:
        raise NativeUnavailableError(
            f"The compiled kernels cannot be loaded ({error}). Delete '{file}' to try again."
        ) from error
    functions.winograd_panel.restype = ctypes.c_int64
    functions.winograd_conv.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int64] * 5 + [ctypes.c_int]
    return NativeLibrary(functions, int(functions.winograd_panel()))


def _compiler() -> str:
    for name in (os.environ.get("CXX"), "g++", "c++", "clang++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NativeUnavailableError("There is no C++ compiler (looked for $CXX, g++, c++ and clang++).")


def _fingerprint(compiler: str) -> str:
    """Of everything the result depends on: the source, the flags, the compiler and the processor that "native" means."""
    described = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    text = "\n".join([SOURCE.read_text(), *FLAGS, compiler, described, _processor()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _compile(compiler: str, file: Path) -> None:
    """Compile aside and rename: another process may be doing the same."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as aside:
            made = Path(aside) / file.name
            command = [compiler, *FLAGS, str(SOURCE), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["no message"]
                raise NativeUnavailableError(f"'{compiler}' cannot compile the kernels: {lines[0]}")
            made.replace(file)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailableError(f"The kernels cannot be compiled into '{file.parent}': {error}.") from error
