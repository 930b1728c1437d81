"""One small town for all tests of closed loop, simulated once. Needs SUMO."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from diffdrive.simulation.stage import Stage, StageFiles
from diffdrive.world.simulation import SimulatedTown, simulate_town


@pytest.fixture(scope="session")
def town_and_stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedTown, tuple[Stage, StageFiles]]:
    if importlib.util.find_spec("libsumo") is None:
        pytest.skip("SUMO is not installed (pip install 'diffdrive[world]')")
    from small_stage import small_stage

    towns: list[SimulatedTown] = []

    def remembered(*arguments: Any) -> SimulatedTown:
        towns.append(simulate_town(*arguments))
        return towns[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffdrive.simulation.stage.simulate_town", remembered)
        staged = small_stage(tmp_path_factory.mktemp("stages"))
    return towns[0], staged


@pytest.fixture(scope="session")
def staged(town_and_stage: tuple[SimulatedTown, tuple[Stage, StageFiles]]) -> tuple[Stage, StageFiles]:
    """What drives need of the town."""
    return town_and_stage[1]


@pytest.fixture(scope="session")
def town(town_and_stage: tuple[SimulatedTown, tuple[Stage, StageFiles]]) -> SimulatedTown:
    """The town as it was simulated for its logs."""
    return town_and_stage[0]
