"""Whole runs of the variants that share least with the full model: train, decoder stage, validate, export, plan."""

from __future__ import annotations

import dataclasses

import pytest
from memory_source import make_scene
from tiny_planner import TINY_PLANNER
from tiny_variants import TINY_VARIANTS

from diffdrive.runtime import Planner, PlanStatus
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import DecoderStageConfig, TrainingConfig
from diffdrive.training.fit import fit


@pytest.mark.parametrize("name", ["regression", "vanilla"])
def test_a_run_ends_with_a_planner(name: str, tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    stage = DecoderStageConfig(epochs=2, batch_size=4)
    planner = {**TINY_PLANNER, **TINY_VARIANTS[name]}
    config = dataclasses.replace(tiny_config, planner=planner, epochs=1, decoder_stage=stage)
    result = fit(config, tiny_cache)
    assert result is not None
    plan = Planner.from_checkpoint(result.export).plan(make_scene(0).observation)
    assert plan.status is PlanStatus.PLANNED, plan.detail
    assert len(plan.proposals) == planner["num_modes"]
