"""Shared by all unit tests: real recordings where they are there, a small log made by hand, and the helpers' import path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
# Helpers that several folders use: tiny_planner.py, source_conformance.py, small_log.py, hand_made_town.py and navsim_data.py.
sys.path[:0] = [str(HERE.parent / folder) for folder in ("helpers", "scene", "log123d", "openscene")]

REAL = Path(os.environ.get("DIFFDRIVE_REAL_DATA", HERE.parents[2].parent / "shared" / "real"))


def _real(name: str) -> Path:
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: {folder} (set DIFFDRIVE_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def av2_root() -> Path:
    """A 123D data root with two Argoverse 2 logs."""
    return _real("av2")


@pytest.fixture(scope="session")
def nuscenes_folder() -> Path:
    """One nuScenes sample."""
    return _real("nuscenes_sample")


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with one log made by hand, with sensors at every scene's present."""
    pytest.importorskip("py123d")
    from small_log import write_small_root

    return write_small_root(tmp_path_factory.mktemp("small"), sensor_frames=range(15, 80, 5))


@pytest.fixture(scope="session")
def navsim_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAVSIM data with one log of 16 frames made by hand, its map and sensors. Not to be changed: copy it."""
    pytest.importorskip("pyogrio")
    pytest.importorskip("geopandas")
    from navsim_data import write_navsim_root

    return write_navsim_root(tmp_path_factory.mktemp("navsim") / "root")
