"""Groups, means and paired bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.evaluation import (
    BY_COMMAND,
    BY_SPEED,
    Evaluation,
    SceneResult,
    mean_interval,
    paired_difference,
    summarise,
)
from diffdrive.runtime import PlanTiming
from diffdrive.scene import DrivingCommand


def result(candidate: str, token: str, ade: float, **changes: object) -> SceneResult:
    values: dict = {
        "candidate": candidate,
        "token": token,
        "log_name": "log",
        "location": "town",
        "command": DrivingCommand.STRAIGHT,
        "speed_mps": 6.0,
        "interval_s": 0.5,
        "displacement_m": (ade / 2, ade * 3 / 2),
        "best_of_ade_m": (ade, ade / 4),
        "is_planned": True,
        "timing": PlanTiming(),
    }
    return SceneResult(**(values | changes))


def evaluation(ours: list[float], theirs: list[float], **changes: object) -> Evaluation:
    tokens = tuple(str(index) for index in range(len(ours)))
    pairs = zip(tokens, ours, theirs, strict=True)
    results = tuple(result(name, token, ade, **changes) for token, a, b in pairs for name, ade in (("ours", a), ("theirs", b)))
    return Evaluation(source="small", candidates=("ours", "theirs"), tokens=tokens, results=results)


def test_summary_of_all_scenes() -> None:
    ours, theirs = summarise(evaluation([1.0, 2.0, 6.0], [2.0, 2.0, 2.0]))
    assert (ours.candidate, theirs.candidate) == ("ours", "theirs")
    assert (ours.num_scenes, ours.num_misses, ours.num_fallbacks, ours.num_proposals) == (3, 2, 0, 2)
    assert (ours.ade_mean_m, ours.ade_median_m, ours.min_ade_mean_m) == (3.0, 2.0, 0.75)
    assert (ours.fde_mean_m, ours.fde_median_m, ours.miss_rate) == (4.5, 3.0, 2 / 3)


def test_fallbacks_are_counted() -> None:
    assert summarise(evaluation([1.0, 1.0], [1.0, 1.0], is_planned=False))[0].num_fallbacks == 2


def test_groups_come_in_their_own_order_and_only_where_there_are_scenes() -> None:
    results = (
        result("ours", "a", 1.0, command=DrivingCommand.RIGHT, speed_mps=0.5),
        result("ours", "b", 2.0, command=DrivingCommand.LEFT, speed_mps=0.49),
        result("ours", "c", 4.0, command=DrivingCommand.LEFT, speed_mps=10.0),
    )
    small = Evaluation(source="small", candidates=("ours",), tokens=("a", "b", "c"), results=results)
    by_command = [(summary.group, summary.num_scenes, summary.ade_mean_m) for summary in summarise(small, BY_COMMAND)]
    assert by_command == [("left", 2, 3.0), ("right", 1, 1.0)]
    assert [(s.group.split(",")[0], s.ade_mean_m) for s in summarise(small, BY_SPEED)] == [
        ("standing", 2.0),
        ("slow", 1.0),
        ("fast", 4.0),
    ]


def test_pairing_removes_what_both_share() -> None:
    hard = np.random.default_rng(0).gamma(1.0, 5.0, 40)
    paired = paired_difference(evaluation(list(hard), list(hard + 1.0)), "ours", "theirs", np.random.default_rng(1))
    assert (paired.mean, paired.low, paired.high) == pytest.approx((-1.0, -1.0, -1.0))
    assert paired.excludes_zero and paired.level == 0.95


def test_the_interval_agrees_with_theory_and_with_its_seed() -> None:
    ours = np.random.default_rng(3).normal(3.0, 1.0, 400)
    drawn = paired_difference(evaluation(list(ours), [3.0] * 400), "ours", "theirs", np.random.default_rng(1))
    half = 1.96 * ours.std() / np.sqrt(400)
    assert drawn.high - drawn.mean == pytest.approx(half, rel=0.1)
    assert drawn.mean - drawn.low == pytest.approx(half, rel=0.1)
    again = paired_difference(evaluation(list(ours), [3.0] * 400), "ours", "theirs", np.random.default_rng(1))
    assert drawn == again


def test_clusters_widen_the_interval_when_their_scenes_agree() -> None:
    ours = np.repeat(np.random.default_rng(3).normal(0.0, 1.0, 10) + 9.0, 20)
    both = evaluation(list(ours), [9.0] * 200)
    single = paired_difference(both, "ours", "theirs", np.random.default_rng(1))
    town = paired_difference(
        both, "ours", "theirs", np.random.default_rng(1), cluster_of=lambda result: str(int(result.token) // 20)
    )
    assert town.mean == single.mean
    assert town.high - town.low > 3 * (single.high - single.low)


def test_any_value_can_be_compared() -> None:
    fde = paired_difference(
        evaluation([1.0], [2.0]), "ours", "theirs", np.random.default_rng(0), value_of=lambda result: result.fde_m
    )
    assert fde.mean == -1.5


def test_mean_interval_holds_its_mean() -> None:
    interval = mean_interval([1.0, 2.0, 3.0], np.random.default_rng(0))
    assert interval.low < interval.mean == 2.0 < interval.high
    assert not interval.low < 0


def test_a_bootstrap_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one value"):
        mean_interval([], np.random.default_rng(0))
    with pytest.raises(InputError, match="level between 0 and 1"):
        paired_difference(evaluation([1.0], [2.0]), "ours", "theirs", np.random.default_rng(0), level=95)
