"""What ships with the package: small frozen logs of the embedded world, and trained checkpoints."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent

LOGS = _HERE / "logs"
"""A 123D data root (logs/ and maps/ inside) with a few towns of the embedded world, without sensors."""

CHECKPOINTS = _HERE / "checkpoints"
"""One folder per checkpoint, each as written by ``diffdrive.model.checkpoint.save_checkpoint``."""

BENCHMARK = _HERE / "benchmark"
"""Manifests of the benchmark's splits, each as written by ``diffdrive world curate``."""
