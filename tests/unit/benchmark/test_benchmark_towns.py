"""A town of the shipped benchmark comes out of the generator as its manifest says. Needs SUMO."""

from __future__ import annotations

import importlib.util

import pytest

from diffdrive.benchmark.manifest import load_benchmark
from diffdrive.world.contents import content_hash
from diffdrive.world.records import log_record
from diffdrive.world.simulation import StageClock, simulate_town

SEED = 6004
"""The quickest of the test split."""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("libsumo") is None, reason="SUMO is not installed (pip install 'diffdrive[world]')"
)
def test_a_town_of_the_benchmark_comes_out_the_same() -> None:
    benchmark = load_benchmark("test")
    town = simulate_town(SEED, benchmark.world, StageClock())
    records = [log_record(town, k, split="test", radius_m=benchmark.world.box_radius_m) for k in range(len(town.windows))]
    assert content_hash(town.network.vector_map, records) == benchmark.towns[SEED]
