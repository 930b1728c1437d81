"""Where a number was measured: what must be known to compare it with another one. What cannot be read is null."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffdrive import __version__

Runner = Callable[[Sequence[str]], str | None]
"""Runs a command and returns what it printed; None where it cannot be run or fails."""

_PACKAGE = Path(__file__).resolve().parents[2]
_CPUINFO = Path("/proc/cpuinfo")
_FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq")
_GPU_FIELDS = ("driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "temperature.gpu", "power.draw", "power.limit")
_TIMEOUT_S = 10.0


def run_command(words: Sequence[str]) -> str | None:
    """The real ``Runner``."""
    try:
        done = subprocess.run(list(words), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe_environment(
    device: torch.device, *, date: datetime, arguments: Sequence[str], runner: Runner = run_command
) -> dict[str, Any]:
    """Machine, versions and source, in plain JSON types. ``date`` and ``arguments`` are the caller's."""
    return {
        "date": date.isoformat(timespec="seconds"),
        "command": list(arguments),
        "cpu": _cpu(),
        "gpu": _gpu(device, runner) if device.type == "cuda" else None,
        "load_average": list(os.getloadavg()),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
        "numpy": np.__version__,
        "diffdrive": __version__,
        **_source(runner),
    }


def _cpu() -> dict[str, Any]:
    return {
        "model": _first_line(_CPUINFO, "model name") or platform.processor() or None,
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if sys.platform == "linux" else None,
        "governor": _read(_FREQUENCY / "scaling_governor"),
        "frequency_mhz": _frequency(),
    }


def _frequency() -> float | None:
    text = _first_line(_CPUINFO, "cpu MHz")
    return float(text) if text else None


def _gpu(device: torch.device, runner: Runner) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    return {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "capability": f"{properties.major}.{properties.minor}",
        **gpu_clocks(device, runner),
    }


def gpu_clocks(device: torch.device, runner: Runner = run_command) -> dict[str, str | None]:
    """Driver, clocks (MHz), temperature (C) and power (W) of a GPU, as nvidia-smi prints them now."""
    # The driver numbers devices as it likes; only their identity is the same for it and for torch.
    identity = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    which = [] if identity is None else ["-i", f"GPU-{identity}"]
    fields = ",".join(_GPU_FIELDS)
    printed = runner(["nvidia-smi", *which, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
    words = [word.strip() for word in printed.splitlines()[0].split(",")] if printed else []
    if len(words) != len(_GPU_FIELDS):
        return dict.fromkeys(_GPU_FIELDS)
    return dict(zip(_GPU_FIELDS, words, strict=True))


def _source(runner: Runner) -> dict[str, Any]:
    """The commit this package was imported from; null where it is installed, even inside somebody else's repository."""
    git = ["git", "-C", str(_PACKAGE)]
    if runner([*git, "ls-files", "--error-unmatch", "__init__.py"]) is None:
        return {"commit": None, "modified": None}
    changes = runner([*git, "status", "--porcelain"])
    return {"commit": runner([*git, "rev-parse", "HEAD"]), "modified": None if changes is None else bool(changes)}


def _first_line(path: Path, key: str) -> str | None:
    lines = (_read(path) or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
