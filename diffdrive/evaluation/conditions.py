"""Under which conditions numbers were measured: machine, versions, checkpoint. Part of every report."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path

import torch

from diffdrive import __version__
from diffdrive.contracts import InputError

_PACKAGES = ("torch", "timm", "numpy", "py123d", "embreex", "moderngl")


def machine() -> dict[str, str]:
    """Processor, cores, memory, operating system, accelerator and versions, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "Processor": f"{_processor()}, {cores} cores available, {torch.get_num_threads()} torch threads",
        "Accelerator": device,
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Versions": f"diffdrive {__version__}, " + ", ".join(f"{name} {version}" for name, version in _versions().items()),
    }


def checkpoint_hash(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 over every file of a checkpoint folder (name and content, in order of name)."""
    files = sorted(path for path in Path(folder).glob("*") if path.is_file())
    if not files:
        raise InputError(f"Checkpoint '{folder}' has no files. Give a folder written by diffdrive train or checkpoint import.")
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def training_locations(folder: Path) -> frozenset[str] | None:
    """Locations whose scenes trained a checkpoint, validation included, from the ``data.json`` beside it; None without it."""
    file = Path(folder) / "data.json"
    try:
        recipe = json.loads(file.read_text())
        return frozenset(recipe["training_locations"]) | frozenset(recipe["validation_locations"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{file}' does not say which locations were trained on: {error!r}. Export the run again.") from error


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
