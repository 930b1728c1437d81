"""One small town for all tests of closed loop. Needs SUMO."""

from __future__ import annotations

import importlib.util

import pytest

from diffdrive.simulation.stage import Stage, StageFiles


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, StageFiles]:
    if importlib.util.find_spec("libsumo") is None:
        pytest.skip("SUMO is not installed (pip install 'diffdrive[world]')")
    from small_stage import small_stage

    return small_stage(tmp_path_factory.mktemp("stages"))
