"""The ladder: drive, repair, carry on, stop, stop hard; and that whatever is decided can be driven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driven_plans import INTERVAL_S, SPEED, TIMES, arc, motion, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdrive.contracts import InputError
from diffdrive.geometry import to_world
from diffdrive.runtime.envelope import (
    Braking,
    Choice,
    Cycle,
    Decision,
    DecisionMemory,
    DecisionStatus,
    EgoMotion,
    EnvelopeConfig,
    PastPlan,
    SelectionConfig,
    Violation,
    check_proposals,
    decide,
    repaired,
    retimed,
    select,
    stop_along,
)
from diffdrive.runtime.plan import Plan, PlanStatus
from diffdrive.scene import Trajectory

CONFIG = EnvelopeConfig()
CYCLE_US = 100_000


def run(*cycles: Cycle, config: EnvelopeConfig = CONFIG) -> list[Decision]:
    memory, decisions = DecisionMemory(), []
    for cycle in cycles:
        decision, memory = decide(cycle, memory, config)
        decisions.append(decision)
    return decisions


def ahead(way: float) -> EgoMotion:
    return motion(np.array([way, 0.0, 0.0]))


def test_the_best_proposal_that_can_be_driven_is_driven() -> None:
    (decision,) = run(Cycle(now_us=0, plan=plan(arc(0.5), arc(0.01), arc(0.0)), motion=motion()))
    assert decision.status is DecisionStatus.PLANNED
    assert (decision.mode, decision.choice) == (1, Choice.BEST)
    assert decision.num_infeasible == 1
    assert Violation.CURVATURE in decision.violations
    np.testing.assert_array_equal(decision.trajectory.poses, arc(0.01))


def test_where_none_can_be_driven_the_best_is_bent_until_it_can() -> None:
    wild = arc(0.4) + np.array([0.0, 2.0, 0.0])
    (decision,) = run(Cycle(now_us=0, plan=plan(wild, arc(0.5)), motion=motion()))
    assert decision.status is DecisionStatus.REPAIRED
    assert (decision.mode, decision.num_infeasible) == (0, 2)
    assert "sideways" in decision.detail
    checked = check_proposals(decision.trajectory.poses[None], INTERVAL_S, motion().present, CONFIG.wheel_base, CONFIG.limits)
    assert checked.violations(0) == ()


def test_a_jitter_of_the_best_is_bent_away_and_not_answered_with_another() -> None:
    shaky = arc(0.0)
    shaky[::2, 1] += 0.45
    proposals = plan(shaky, arc(0.01))
    (decision,) = run(Cycle(now_us=0, plan=proposals, motion=motion()))
    assert (decision.status, decision.mode, decision.choice) == (DecisionStatus.REPAIRED, 0, Choice.BEST)
    assert (decision.num_infeasible, decision.violations) == (1, (Violation.SLIP,))
    poses = decision.trajectory.poses
    checked = check_proposals(poses[None], INTERVAL_S, motion().present, CONFIG.wheel_base, CONFIG.limits)
    assert checked.violations(0) == ()
    assert np.hypot(*(poses - shaky)[:, :2].T).mean() <= CONFIG.selection.max_bend_m
    np.testing.assert_array_equal(proposals.proposals[0], shaky)

    as_they_are = replace(CONFIG, selection=replace(CONFIG.selection, max_bend_m=0.0))
    strict, _ = decide(Cycle(now_us=0, plan=proposals, motion=motion()), DecisionMemory(), as_they_are)
    assert (strict.status, strict.mode) == (DecisionStatus.PLANNED, 1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), speed=st.floats(0.0, 20.0), bend=st.floats(-1.0, 1.0), acceleration=st.floats(-3.0, 2.0))
def test_whatever_is_repaired_can_be_driven(seed: int, speed: float, bend: float, acceleration: float) -> None:
    rng = np.random.default_rng(seed)
    wild = np.cumsum(rng.normal(0.0, 1.0, (8, 3)) * [3.0, 2.0, 0.4] + [speed * INTERVAL_S, 0.0, 0.0], axis=0)
    # A vehicle's own bend: no tighter than it can steer and no faster than it can hold.
    yaw_rate = bend * min(0.15 * speed, 5.0 / max(speed, 1.0))
    present = replace(motion(speed=speed, yaw_rate=yaw_rate).present, acceleration=np.array([acceleration, 0.0]))
    bent = repaired(Trajectory(wild), present, CONFIG.wheel_base, CONFIG.limits)
    checked = check_proposals(bent.poses[None], INTERVAL_S, present, CONFIG.wheel_base, CONFIG.limits)
    assert checked.violations(0) == ()


def test_what_can_be_driven_is_hardly_changed_by_repair() -> None:
    for curvature in (0.0, 0.03, -0.06):
        bent = repaired(
            Trajectory(arc(curvature)), motion(yaw_rate=curvature * SPEED).present, CONFIG.wheel_base, CONFIG.limits
        )
        assert np.hypot(*(bent.poses - arc(curvature))[:, :2].T).max() < 0.25


def test_a_plan_is_changed_only_for_one_that_is_better_by_the_margin() -> None:
    straight, bend = arc(0.0), arc(0.04)
    first = Cycle(now_us=0, plan=plan(straight, bend), motion=motion())
    where = ahead(SPEED * 0.1)
    hardly = Cycle(now_us=CYCLE_US, plan=plan(straight, bend, scores=(0.48, 0.52)), motion=where)
    clearly = Cycle(now_us=CYCLE_US, plan=plan(straight, bend, scores=(0.40, 0.60)), motion=where)
    kept, changed = run(first, hardly)[1], run(first, clearly)[1]
    assert (kept.mode, kept.choice) == (0, Choice.KEPT)
    assert (changed.mode, changed.choice) == (1, Choice.CHANGED)


def test_a_plan_that_can_no_longer_be_driven_is_not_held_on_to() -> None:
    chosen = select(
        np.stack([arc(0.0), arc(0.04)]), np.array([0.9, 0.1]), np.array([False, True]), Trajectory(arc(0.0)), SelectionConfig()
    )
    assert chosen is not None
    assert (chosen.mode, chosen.choice) == (1, Choice.CHANGED)
    assert select(np.stack([arc()]), np.ones(1), np.zeros(1, dtype=bool), None, SelectionConfig()) is None


def test_without_a_plan_the_last_one_is_driven_on_and_then_braked_along() -> None:
    curve = arc(0.03)
    cycles = [Cycle(now_us=0, plan=plan(curve), motion=motion(yaw_rate=0.03 * SPEED))]
    for index in range(1, 12):
        way = SPEED * 0.1 * index
        turn = 0.03 * way
        chord = way * np.sinc(turn / (2 * np.pi))
        place = np.array([chord * np.cos(turn / 2), chord * np.sin(turn / 2), turn])
        where = motion(place, yaw_rate=0.03 * SPEED)
        cycles.append(Cycle(now_us=index * CYCLE_US, plan=None, reason="No camera.", motion=where))
    decisions = run(*cycles)
    statuses = [decision.status for decision in decisions]
    assert statuses == [DecisionStatus.PLANNED] + [DecisionStatus.CARRIED_ON] * 5 + [DecisionStatus.STOPPING] * 6
    assert {decision.detail for decision in decisions[1:]} == {"No camera."}
    assert decisions[3].plan_age_s == pytest.approx(0.3)
    for cycle, decision in zip(cycles[1:], decisions[1:], strict=True):
        assert cycle.motion is not None
        driven = to_world(decision.trajectory.poses, cycle.motion.odometry_pose)
        radius = np.hypot(driven[:, 0], driven[:, 1] - 1 / 0.03)
        np.testing.assert_allclose(radius, 1 / 0.03, atol=0.02)  # all of it on the circle of the plan
    pieces = np.hypot(*np.diff(decisions[-1].trajectory.poses[:, :2], axis=0).T)
    assert (np.diff(pieces) < -0.1).all(), "slower and slower"
    assert pieces[-1] < 0.8


def test_a_carried_plan_is_where_it_would_have_been_at_those_times() -> None:
    past = PastPlan(trajectory=Trajectory(arc()), odometry_pose=np.array([10.0, 5.0, np.pi / 2]), stamp_us=0)
    on = retimed(past, np.array([10.0, 5.0 + 0.25 * SPEED, np.pi / 2]), 250_000)
    np.testing.assert_allclose(on.poses[:7, 0], SPEED * TIMES[:7], atol=1e-9)
    np.testing.assert_allclose(on.poses[:, 1:], 0.0, atol=1e-9)
    assert SPEED * TIMES[-1] - 0.3 < on.poses[-1, 0] < SPEED * TIMES[-1], "braking begins where the plan ends"
    with pytest.raises(InputError, match="ahead of the clock"):
        retimed(past, np.zeros(3), -1)


def test_a_vehicle_that_was_put_elsewhere_does_not_go_on_with_its_plan() -> None:
    first = Cycle(now_us=0, plan=plan(arc()), motion=motion())
    put = Cycle(now_us=CYCLE_US, plan=None, reason="Late.", motion=motion(np.array([0.8, 30.0, 0.0])))
    decision = run(first, put)[1]
    assert decision.status is DecisionStatus.STOPPING
    np.testing.assert_allclose(decision.trajectory.poses[:, 1], 0.0, atol=1e-9)


def test_a_vehicle_that_does_not_know_its_motion_brakes_hard() -> None:
    first = Cycle(now_us=0, plan=plan(arc()), motion=motion())
    lost = Cycle(now_us=CYCLE_US, plan=None, reason="motion: too old.", motion=None)
    decision = run(first, lost)[1]
    assert decision.status is DecisionStatus.EMERGENCY_STOP
    way = decision.trajectory.poses[-1, 0]
    assert SPEED**2 / (2 * 6.0) < way < SPEED**2 / (2 * 6.0) + SPEED * 0.5
    (never,) = run(lost)
    assert never.status is DecisionStatus.EMERGENCY_STOP
    assert not never.trajectory.poses.any()


def test_an_emergency_stop_forgets_a_path_that_is_too_old_or_was_left() -> None:
    bend = Cycle(now_us=0, plan=plan(arc(0.03)), motion=motion(yaw_rate=0.03 * SPEED))
    far = Cycle(now_us=40 * CYCLE_US, plan=None, reason="Late.", motion=motion(np.array([300.0, 40.0, 0.0])))
    lost = Cycle(now_us=41 * CYCLE_US, plan=None, reason="motion: too old.", motion=None)
    put_elsewhere = run(bend, far, lost)[-1]
    much_later = run(bend, replace(lost, now_us=70 * CYCLE_US))[-1]
    for decision, side in ((put_elsewhere, 0.0), (much_later, 0.03)):
        assert decision.status is DecisionStatus.EMERGENCY_STOP and decision.plan_age_s == 0.0
        way = np.hypot(*decision.trajectory.poses[-1, :2])
        assert way < SPEED**2 / (2 * 6.0) + SPEED * 0.5
        # On the arc that the vehicle was last known to be in.
        np.testing.assert_allclose(decision.trajectory.poses[:, 2], side * way_along(decision), atol=1e-6)


def way_along(decision: Decision) -> np.ndarray:
    path = np.concatenate([np.zeros((1, 3)), decision.trajectory.poses])
    half_turns = np.diff(path[:, 2]) / 2
    return np.cumsum(np.hypot(*np.diff(path[:, :2], axis=0).T) / np.sinc(half_turns / np.pi))


@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_a_vehicle_beside_its_path_gets_a_way_that_it_can_drive(seconds: float) -> None:
    first = Cycle(now_us=0, plan=plan(arc()), motion=motion())
    beside = motion(np.array([SPEED * seconds, 0.9, 0.15]), yaw_rate=0.1)
    late = Cycle(now_us=int(1e6 * seconds), plan=None, reason="Late.", motion=beside)
    decision = run(first, late)[1]
    assert decision.status is (DecisionStatus.CARRIED_ON if seconds < 0.5 else DecisionStatus.STOPPING)
    checked = check_proposals(decision.trajectory.poses[None], INTERVAL_S, beside.present, CONFIG.wheel_base, CONFIG.limits)
    assert checked.violations(0) == ()


def test_a_first_cycle_without_a_plan_stops_in_the_bend_that_the_vehicle_is_in() -> None:
    (decision,) = run(Cycle(now_us=0, plan=None, reason="Late.", motion=motion(yaw_rate=0.4)))
    assert decision.status is DecisionStatus.STOPPING
    poses = decision.trajectory.poses
    np.testing.assert_allclose(np.hypot(poses[:, 0], poses[:, 1] - SPEED / 0.4), SPEED / 0.4, atol=1e-6)


def test_a_stop_forgets_a_path_that_is_too_old() -> None:
    curve = Cycle(now_us=0, plan=plan(arc(0.03)), motion=motion(yaw_rate=0.03 * SPEED))
    stand = motion(arc(0.03)[0])  # on the path, wheels straight
    young, old = (Cycle(now_us=seconds * 1_000_000, plan=None, reason="Late.", motion=stand) for seconds in (5, 7))
    on_path, ahead_only = run(curve, young)[1], run(curve, old)[1]
    assert {on_path.status, ahead_only.status} == {DecisionStatus.STOPPING}
    assert on_path.trajectory.poses[-1, 1] > 1.0
    assert not ahead_only.trajectory.poses[:, 1].any()
    assert (on_path.plan_age_s, ahead_only.plan_age_s) == (5.0, 0.0)


def test_a_vehicle_that_was_put_elsewhere_chooses_anew() -> None:
    first = Cycle(now_us=0, plan=plan(arc(0.0)), motion=motion())
    put = motion(np.array([0.8, 30.0, 0.0]))
    again = run(first, Cycle(now_us=CYCLE_US, plan=plan(arc(0.0)), motion=put))[1]
    assert again.choice is Choice.BEST


def test_a_fallback_of_the_planner_counts_as_no_plan() -> None:
    stop = Plan(
        trajectory=Trajectory(arc(speed=1.0)),
        proposals=np.zeros((0, 8, 3)),
        scores=np.zeros(0),
        status=PlanStatus.NETWORK_FAILED,
        detail="Out of memory.",
    )
    decisions = run(
        Cycle(now_us=0, plan=plan(arc()), motion=motion()), Cycle(now_us=CYCLE_US, plan=stop, motion=ahead(SPEED * 0.1))
    )
    assert decisions[1].status is DecisionStatus.CARRIED_ON
    assert decisions[1].detail == f"{PlanStatus.NETWORK_FAILED.value} Out of memory."


def test_a_stop_brakes_as_it_is_told() -> None:
    past = PastPlan(trajectory=Trajectory(arc()), odometry_pose=np.zeros(3), stamp_us=0)
    soft = stop_along(past, np.zeros(3), SPEED, 0.0, deceleration=2.0, jerk=2.0)
    hard = stop_along(past, np.zeros(3), SPEED, 0.0, deceleration=6.0, jerk=12.0)
    assert hard.poses[-1, 0] < 0.5 * soft.poses[-1, 0]
    np.testing.assert_allclose(np.diff(hard.poses[-3:, 0]), 0.0, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_any_sequence_can_be_driven_and_repeats_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cycles, place = [], np.zeros(3)
    for index in range(12):
        kind = rng.integers(4)
        wild = [arc(rng.normal(0, 0.1), SPEED) + rng.normal(0, 0.3, (8, 3)) for _ in range(4)]
        given_plan = plan(*wild) if kind > 1 else None
        known = None if kind == 0 else motion(place)
        cycles.append(Cycle(now_us=index * CYCLE_US, plan=given_plan, reason="", motion=known))
        place = place + [SPEED * 0.1, 0.0, 0.0]
    one, two = run(*cycles), run(*cycles)
    for cycle, first, second in zip(cycles, one, two, strict=True):
        assert np.array_equal(first.trajectory.poses, second.trajectory.poses)
        assert first.status is second.status
        assert np.isfinite(first.trajectory.poses).all()
        if cycle.motion is not None:
            checked = check_proposals(
                first.trajectory.poses[None], INTERVAL_S, cycle.motion.present, CONFIG.wheel_base, CONFIG.limits
            )
            assert checked.violations(0) == ()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="deadline_s"):
        EnvelopeConfig(deadline_s=0.0)
    with pytest.raises(InputError, match="outlives"):
        EnvelopeConfig(max_plan_age_s=1.0, max_path_age_s=0.5)
    with pytest.raises(InputError, match="Braking"):
        Braking(deceleration=-1.0, jerk=1.0)
    with pytest.raises(InputError, match="margin"):
        SelectionConfig(margin=2.0)
    with pytest.raises(InputError, match="max_departure_m"):
        SelectionConfig(max_departure_m=0.0)
    with pytest.raises(InputError, match="max_bend_m"):
        SelectionConfig(max_bend_m=-0.1)
