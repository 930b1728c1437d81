"""Every variant plans with every kind of engine that needs only torch; tables that a model was not trained for are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fault_helpers import observation
from graph_fakes import IMAGE_SIZE, MAX_POINTS, FakeRecorder
from scrambled_planner import request, scrambled
from tiny_variants import TINY_VARIANTS, tiny_variant

from diffdrive.contracts import InputError
from diffdrive.diffusion import DDIM, JUMP_TABLES, JumpTable, noise_table, reference_table
from diffdrive.model.checkpoint import save_checkpoint
from diffdrive.runtime import EngineOptions, PlainEngine, Planner, make_engine
from diffdrive.runtime.checks import checked_jumps
from diffdrive.runtime.cuda_graph import CudaGraphEngine
from diffdrive.runtime.eager import EagerEngine
from diffdrive.runtime.plan import PlanStatus

SOME = ["full", "regression", "vanilla", "truncated", "no spatial", "agents alone", "features handed on"]


@pytest.mark.parametrize("name", list(TINY_VARIANTS))
def test_a_saved_variant_plans_scenes(name: str, tmp_path: Path) -> None:
    config = tiny_variant(name)
    save_checkpoint(tmp_path, scrambled(config))
    planner = Planner.from_checkpoint(tmp_path)
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED, plan.detail
    assert plan.proposals.shape == (config.num_modes, 8, 3)
    yardstick = Planner.from_checkpoint(tmp_path, engine="plain").plan(observation())
    assert abs(plan.proposals - yardstick.proposals).max() < 5e-4
    if not config.has_anchors:
        assert (plan.trajectory.poses == plan.proposals[0]).all()


@pytest.mark.parametrize("name", SOME)
def test_a_variant_can_be_recorded(name: str) -> None:
    config = tiny_variant(name)
    inputs, noise = request(config, 1)
    engine = CudaGraphEngine(scrambled(config), EngineOptions(image_size=IMAGE_SIZE, max_points=MAX_POINTS), FakeRecorder())
    engine.warm_up()
    assert engine.degraded == ""
    expected = PlainEngine(scrambled(config)).run(inputs, noise)
    torch.testing.assert_close(engine.run(inputs, noise).poses, expected.poses, rtol=1e-5, atol=5e-4)


def test_passes_are_the_models_own_unless_a_table_is_asked_for() -> None:
    assert checked_jumps(None, tiny_variant("vanilla")) == noise_table(20)
    assert checked_jumps(None, tiny_variant("full")) == JUMP_TABLES["reference"]
    assert checked_jumps(DDIM, tiny_variant("full")) == DDIM
    assert checked_jumps(DDIM, tiny_variant("regression")) == reference_table(1)
    assert "20 passes" in PlainEngine(scrambled(tiny_variant("vanilla"))).description
    assert "1 passes" in PlainEngine(scrambled(tiny_variant("regression")), EngineOptions(jumps=DDIM)).description


@pytest.mark.parametrize("engine", ["eager", "plain"])
def test_levels_that_were_not_trained_are_refused(engine: str) -> None:
    few = replace(tiny_variant("full"), num_train_levels=12)
    with pytest.raises(InputError, match=r"level 13, .* levels 0 .. 11 .*num_train_levels=14"):
        make_engine(engine, scrambled(few), EngineOptions(jumps=JUMP_TABLES["ddim-3"]))
    low = JumpTable(start_level=11, jumps=((11, -1),), clips_prediction=False)
    assert checked_jumps(low, few) == low


def test_a_table_for_anchors_is_refused_where_there_are_none() -> None:
    with pytest.raises(InputError, match=r"pure noise.*level 10.*noise_table"):
        EagerEngine(scrambled(tiny_variant("vanilla")), EngineOptions(jumps=DDIM))
    with pytest.raises(InputError, match="level 950"):
        EagerEngine(scrambled(tiny_variant("full")), EngineOptions(jumps=JUMP_TABLES["vanilla-20"]))
    assert checked_jumps(noise_table(5), tiny_variant("vanilla")) == noise_table(5)
