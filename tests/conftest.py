"""Shared by all tests: the import path of the reader's scorer, their order, and the skip of what needs the NAVSIM devkit."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "oracle"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: at the end, one would keep a worker busy while the others have nothing left."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)
    _skip_without_devkit(items)


def _skip_without_devkit(items: Sequence[pytest.Item]) -> None:
    """Skip tests marked ``navsim`` where a devkit is missing. Such a test imports the devkit inside itself or a fixture."""
    missing = [name for name in ("navsim", "nuplan") if importlib.util.find_spec(name) is None]
    if not missing:
        return
    skip = pytest.mark.skip(
        reason=f"{' and '.join(missing)} cannot be imported: docs/navsim.md tells how to install the devkit"
    )
    for item in items:
        if item.get_closest_marker("navsim") is not None:
            item.add_marker(skip)
