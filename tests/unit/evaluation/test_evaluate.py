"""Candidates see observations only, and are measured against what was driven at the right times."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from diffdrive.contracts import InputError
from diffdrive.evaluation import Candidate, evaluate, measure, summarise
from diffdrive.evaluation.displacement import displacements
from diffdrive.evaluation.story import results_table
from diffdrive.runtime import Plan, PlanStatus, PlanTiming
from diffdrive.scene import Agents, DrivingCommand, EgoState, Future, Modality, Observation, Scene, Trajectory


def straight(speed: float, *, num_poses: int = 8, interval_s: float = 0.5, aside: float = 0.0) -> Trajectory:
    poses = np.zeros((num_poses, 3))
    poses[:, 0] = speed * interval_s * np.arange(1, num_poses + 1)
    poses[:, 1] = aside
    return Trajectory(poses, interval_s)


def scene(token: str, driven: Trajectory | None) -> Scene:
    ego = EgoState(timestamp_us=0, pose=np.zeros(3), velocity=[3.0, 4.0], acceleration=[0.0, 0.0])
    future = None if driven is None else Future(ego=driven, agents=(Agents.none(),) * driven.num_poses)
    return Scene(
        token=token,
        log_name=f"log of {token}",
        location="town",
        world_from_ego=np.zeros(3),
        observation=Observation(ego_history=(ego,), command=DrivingCommand.RIGHT),
        agents=Agents.none(),
        future=future,
    )


class SmallSource:
    name = "small"
    modalities = frozenset({Modality.FUTURE})
    tokens = ("a", "b")

    def load(self, token: str, *, sensors: bool = True) -> Scene:
        assert sensors, "planners need sensors"
        return scene(token, straight(2.0 if token == "a" else 4.0))


def fan(observation: Observation) -> Plan:
    poses = np.stack([straight(speed).poses for speed in (5.0, 4.0, 2.0)])
    scores = np.array([0.3, 0.6, 0.1])
    return Plan(
        trajectory=Trajectory(poses[1]),
        proposals=poses,
        scores=scores,
        status=PlanStatus.PLANNED,
        timing=PlanTiming(network_s=7.0),
    )


def test_a_single_trajectory_is_measured_against_the_driven_one() -> None:
    result = measure(scene("a", straight(2.0)), Candidate("still", lambda observation: straight(0.0)))
    np.testing.assert_allclose(result.displacement_m, np.arange(1.0, 9.0))
    assert (result.ade_m, result.fde_m, result.min_ade_m, result.num_proposals) == (4.5, 8.0, 4.5, 1)
    assert result.is_miss and result.is_planned
    assert (result.candidate, result.token, result.log_name, result.location) == ("still", "a", "log of a", "town")
    assert (result.command, result.speed_mps, result.interval_s) == (DrivingCommand.RIGHT, 5.0, 0.5)


def test_proposals_count_in_the_order_of_their_scores() -> None:
    result = measure(scene("a", straight(2.0)), Candidate("fan", fan))
    assert result.ade_m == pytest.approx(4.5), "the chosen one drives 4 m/s, the human 2 m/s"
    np.testing.assert_allclose(result.best_of_ade_m, [4.5, 4.5, 0.0])
    assert result.min_ade_m == 0.0


def test_heading_does_not_count_as_displacement() -> None:
    poses = straight(2.0).poses.copy()
    poses[:, 2] = 1.0
    result = measure(scene("a", straight(2.0)), Candidate("turned", lambda observation: Trajectory(poses)))
    assert result.ade_m == 0.0 and not result.is_miss


def test_a_fallback_is_measured_and_marked() -> None:
    def stopped(observation: Observation) -> Plan:
        empty = np.zeros((0, 8, 3))
        return Plan(trajectory=straight(0.0), proposals=empty, scores=np.zeros(0), status=PlanStatus.LIDAR_MISSING)

    result = measure(scene("a", straight(2.0)), Candidate("stop", stopped))
    assert not result.is_planned
    assert result.best_of_ade_m == (4.5,)


def test_miss_is_a_final_displacement_above_two_metres() -> None:
    near = measure(scene("a", straight(2.0)), Candidate("near", lambda observation: straight(2.0, aside=2.0)))
    far = measure(scene("a", straight(2.0)), Candidate("far", lambda observation: straight(2.0, aside=2.01)))
    assert (near.is_miss, far.is_miss) == (False, True)


def test_every_scene_is_planned_by_every_candidate_in_order() -> None:
    seen: list[tuple[int, str]] = []
    ticks = itertools.count()
    evaluation = evaluate(
        SmallSource(),
        [Candidate("still", lambda observation: straight(0.0)), Candidate("fan", fan)],
        on_scene=lambda done, scene: seen.append((done, scene.token)),
        clock=lambda: float(next(ticks)),
    )
    assert [(result.token, result.candidate) for result in evaluation.results] == [
        ("a", "still"),
        ("a", "fan"),
        ("b", "still"),
        ("b", "fan"),
    ]
    assert seen == [(1, "a"), (2, "b")]
    assert [result.timing.total_s for result in evaluation.of("still")] == [1.0, 1.0], "timed from outside"
    assert [result.timing for result in evaluation.of("fan")] == [PlanTiming(network_s=7.0)] * 2, "the plan's own"
    assert [result.fde_m for result in evaluation.of("still")] == [8.0, 16.0]
    with pytest.raises(InputError, match="Evaluated: still, fan"):
        evaluation.of("moving")


def test_only_the_asked_scenes() -> None:
    evaluation = evaluate(SmallSource(), [Candidate("fan", fan)], tokens=["b"])
    assert evaluation.tokens == ("b",) and len(evaluation.results) == 1


def test_candidates_get_the_observation_and_not_the_scene() -> None:
    given: list[object] = []

    def spy(observation: Observation) -> Trajectory:
        given.append(observation)
        return straight(0.0)

    evaluate(SmallSource(), [Candidate("spy", spy)])
    assert [type(value) for value in given] == [Observation, Observation]


def test_what_cannot_be_evaluated_is_refused() -> None:
    still = Candidate("still", lambda observation: straight(0.0))
    with pytest.raises(InputError, match="every name once"):
        evaluate(SmallSource(), [still, still])
    with pytest.raises(InputError, match="at least one candidate"):
        evaluate(SmallSource(), [])
    with pytest.raises(InputError, match="no scenes"):
        evaluate(SmallSource(), [still], tokens=[])
    blind = SmallSource()
    blind.modalities = frozenset()  # type: ignore[misc]
    with pytest.raises(InputError, match="no recorded futures"):
        evaluate(blind, [still])
    with pytest.raises(InputError, match="'a' has no recorded future"):
        measure(scene("a", None), still)


def test_displacements_keep_leading_axes() -> None:
    assert displacements(np.zeros((20, 8, 3)), np.full((8, 3), [3.0, 4.0, 9.0])).tolist() == [[5.0] * 8] * 20


def test_an_evaluation_says_how_different_proposals_are() -> None:
    proposals = np.stack([straight(5.0, aside=aside).poses for aside in (0.0, 30.0, 60.0, 90.0)])
    plan = Plan(trajectory=Trajectory(proposals[0]), proposals=proposals, scores=np.ones(4) / 4, status=PlanStatus.PLANNED)
    candidates = [Candidate("several", lambda _: plan), Candidate("one", lambda _: plan.trajectory)]
    evaluation = evaluate(SmallSource(), candidates)
    assert [summary.diversity_mean for summary in summarise(evaluation)] == [pytest.approx(0.75), 0.0]
    table = results_table(evaluation, "one")
    column = table.columns.index("diversity")
    assert [row[column] for row in table.rows] == ["0.75", "0.00"]
