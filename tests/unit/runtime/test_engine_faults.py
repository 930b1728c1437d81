"""Everything that can break inside an engine: a status, and the spare engine or the planner's last resort."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from fault_helpers import ScriptedEngine, assert_same, assert_stop, observation, with_result, without_camera

from diffdrive.contracts import InputError
from diffdrive.runtime import Plan, Planner, PlanStatus
from diffdrive.tensors import Proposals


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (lambda p: with_result(p.poses[:, :3], p.logits[:, :3]), PlanStatus.OUTPUT_MALFORMED, "[1, 3, 8, 3]"),
        (lambda p: with_result(p.poses[:, :, :5], p.logits), PlanStatus.OUTPUT_MALFORMED, "[1, 4, 5, 3]"),
        (lambda p: with_result(p.poses.repeat(2, 1, 1, 1), p.logits.repeat(2, 1)), PlanStatus.OUTPUT_MALFORMED, "[2, 4]"),
        (lambda p: with_result(p.poses[0], p.logits), PlanStatus.NETWORK_FAILED, "InputError"),
        (lambda p: None, PlanStatus.NETWORK_FAILED, "AttributeError"),
        (lambda p: with_result(p.poses * torch.inf, p.logits), PlanStatus.OUTPUT_NOT_FINITE, "4 of 4"),
        (
            lambda p: with_result(p.poses, p.logits.index_fill(1, torch.tensor(2), torch.nan)),
            PlanStatus.OUTPUT_NOT_FINITE,
            "1 of",
        ),
    ],
)
def test_an_engine_that_answers_nonsense(script: Callable[[Proposals], object], status: PlanStatus, words: str) -> None:
    engine = ScriptedEngine()
    planner = Planner(engine)
    good = planner.plan(observation())
    assert good.status is PlanStatus.PLANNED
    engine.script = script
    assert_stop(planner.plan(observation(1)), status, words)
    engine.script = lambda proposals: proposals
    assert_same(planner.plan(observation()), good)


def test_a_plan_keeps_its_numbers_when_the_engine_reuses_its_buffers() -> None:
    poses, logits = torch.zeros(1, 4, 8, 3, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64)

    def into_buffers(proposals: Proposals) -> Proposals:
        poses.copy_(proposals.poses)
        logits.copy_(proposals.logits)
        return with_result(poses, logits)

    planner = Planner(ScriptedEngine(into_buffers))
    plan = planner.plan(observation())
    kept = [array.copy() for array in (plan.proposals, plan.scores, plan.trajectory.poses)]
    other = planner.plan(observation(1))
    poses.fill_(torch.nan)
    assert not np.array_equal(other.proposals, plan.proposals)
    for array, before in zip((plan.proposals, plan.scores, plan.trajectory.poses), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_a_plan_copies_what_it_is_given() -> None:
    proposals, scores = np.zeros((1, 8, 3)), np.ones(1)
    trajectory = Planner(ScriptedEngine()).plan(observation()).trajectory
    plan = Plan(trajectory=trajectory, proposals=proposals, scores=scores, status=PlanStatus.PLANNED)
    proposals[:], scores[:] = 7.0, 7.0
    assert not plan.proposals.any() and plan.scores[0] == 1.0


def failing(proposals: Proposals) -> Proposals:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")


def test_a_spare_engine_plans_the_frames_on_which_the_first_fails() -> None:
    first, spare = ScriptedEngine(), ScriptedEngine()
    planner = Planner(first, spare=spare)
    good = planner.plan(observation())
    assert (good.status, spare.num_calls) == (PlanStatus.PLANNED, 0)
    first.script = failing
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_BY_SPARE and plan.status.is_planned
    assert "OutOfMemoryError" in plan.detail
    assert_same(plan, good)
    first.script = lambda proposals: proposals
    assert planner.plan(observation()).status is PlanStatus.PLANNED, "one failure is forgiven"


def test_after_failures_in_a_row_only_the_spare_is_asked() -> None:
    first, spare = ScriptedEngine(failing), ScriptedEngine()
    planner = Planner(first, spare=spare)
    for _ in range(2):
        planner.plan(observation())
    first.script = lambda proposals: proposals
    assert planner.plan(observation()).status is PlanStatus.PLANNED
    first.script = failing
    for _ in range(2):
        assert planner.plan(observation()).status is PlanStatus.PLANNED_BY_SPARE
        assert planner.plan(without_camera()).status is PlanStatus.CAMERA_MISSING, "says nothing about the engine"
    assert planner.plan(observation()).status is PlanStatus.PLANNED_BY_SPARE
    calls = first.num_calls
    assert calls == 2 + 1 + 3, "a success starts the count anew, a frame without a camera leaves it"
    first.script = lambda proposals: proposals
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_BY_SPARE and "OutOfMemoryError" in plan.detail
    assert first.num_calls == calls


def test_two_engines_that_fail_give_a_stop() -> None:
    planner = Planner(ScriptedEngine(failing), spare=ScriptedEngine(lambda p: with_result(p.poses * torch.nan, p.logits)))
    assert_stop(planner.plan(observation()), PlanStatus.OUTPUT_NOT_FINITE, "4 of 4")


def test_a_first_engine_that_cannot_start_leaves_the_spare() -> None:
    class Stillborn(ScriptedEngine):
        def warm_up(self) -> None:
            raise RuntimeError("no kernel image is available")

    with pytest.raises(RuntimeError, match="kernel image"):
        Planner(Stillborn()).warm_up()
    first = Stillborn()
    planner = Planner(first, spare=ScriptedEngine())
    planner.warm_up()
    plan = planner.plan(observation())
    assert plan.status is PlanStatus.PLANNED_BY_SPARE and "kernel image" in plan.detail
    assert first.num_calls == 0


def test_a_spare_of_another_shape_and_a_batch_engine_are_refused() -> None:
    other = ScriptedEngine()
    other.spec = dataclasses.replace(other.spec, num_modes=6)
    with pytest.raises(InputError, match="4 modes of 8 poses"):
        Planner(ScriptedEngine(), spare=other)
    other.spec = dataclasses.replace(other.spec, num_modes=4, batch_size=2)
    for arguments in ({"engine": other}, {"engine": ScriptedEngine(), "spare": other}):
        with pytest.raises(InputError, match="batches of 2"):
            Planner(**arguments)
