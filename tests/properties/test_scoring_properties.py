"""Scores on random scenes: equal to a reader's scorer, and what must hold whatever the scene."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import oracle_comfort
import oracle_rules
import oracle_score as oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_vehicle import interpolate
from oracle_world import Drive, World
from random_scenes import moved, random_encounter, random_poses, random_scene, random_states, without_track

from diffdrive.contracts import InputError
from diffdrive.scoring.batch import SceneBatch
from diffdrive.scoring.judge import judge
from diffdrive.scoring.metrics.comfort import comfort
from diffdrive.scoring.metrics.ego_progress import normalise
from diffdrive.scoring.metrics.extended_comfort import extended_comfort
from diffdrive.scoring.metrics.history_comfort import history_comfort
from diffdrive.scoring.rules import METRICS, Protocol
from diffdrive.scoring.score import score
from diffdrive.scoring.scores import Scores
from diffdrive.scoring.scoring_scene import ScoringScene

PROTOCOLS = (Protocol.V1, Protocol.V2)
SEEDS = (40, 46, 103, 126, 145, 152, 168, 176, 248, 250)
"""Of the first 260 these ten reach the most branches."""
NUM_PLANS = 6
BOUNDS = set(oracle_comfort.BOUNDS)

Judgements = list[tuple[ScoringScene, list[oracle.Judged], oracle.Judged | None]]

seeds = st.integers(0, 2**31)
quick = settings(max_examples=4, deadline=None)


@pytest.fixture(scope="module")
def judged() -> dict[Protocol, Judgements]:
    """Random scenes as the reader's scorer judges them."""
    return {protocol: [_judge(seed, protocol) for seed in SEEDS] for protocol in PROTOCOLS}


def _judge(seed: int, protocol: Protocol) -> tuple[ScoringScene, list[oracle.Judged], oracle.Judged | None]:
    scene = random_scene(seed, protocol)
    poses = random_poses(seed, scene, NUM_PLANS)
    references = np.array([interpolate(scene.ego_state[:3], scene.timestamp_us, each) for each in poses])
    proposals, _, human = oracle.judge_references(scene, references)
    return scene, proposals, human


def _score(seeds: list[int], protocol: Protocol, count: int = 3, **options: bool) -> Scores:
    scenes = [random_scene(seed, protocol) for seed in seeds]
    poses = [random_poses(seed, scene, count) for seed, scene in zip(seeds, scenes, strict=True)]
    return score(scenes, np.array(poses), **options)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("human_filter", [False, True])
def test_random_scenes_score_as_the_reader_says(
    protocol: Protocol, human_filter: bool, judged: dict[Protocol, Judgements]
) -> None:
    scores = _score(list(SEEDS), protocol, NUM_PLANS, human_filter=human_filter)
    version = 1 if protocol is Protocol.V1 else 2
    problems = []
    for i, (scene, proposals, human) in enumerate(judged[protocol]):
        for j, plain in enumerate(proposals):
            expected = oracle.forgive(plain, human) if human_filter and human else plain
            wrong = [
                f"{name} {float(scores[name][i, j])} instead of {value}"
                for name, value in expected.sub_scores.items()
                if abs(float(scores[name][i, j]) - value) > (1e-9 if name == "ego_progress" else 0)
            ]
            if abs(float(scores.total[i, j]) - oracle.total(version, expected.sub_scores)) > 1e-9:
                wrong.append("total")
            problems += [f"{scene.token}, plan {j}: {', '.join(wrong)}"] if wrong else []
            error = scores.states[i, j].numpy() - plain.states
            error[:, 2] = (error[:, 2] + np.pi) % (2 * np.pi) - np.pi
            assert np.abs(error).max() < 1e-9, f"{scene.token}, plan {j}"
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_random_scenes_reach_every_branch(protocol: Protocol, judged: dict[Protocol, Judgements]) -> None:
    seen: Counter[tuple[object, ...]] = Counter()
    for _, proposals, human in judged[protocol]:
        seen.update(("human", name) for name, value in (human.sub_scores if human else {}).items() if value == 0)
        for each in proposals:
            seen.update({("hit", event.kind, event.is_fault) for event in each.collisions})
            closing = {event.kind for event in each.time_to_collision}
            seen.update(("closing", kind) for kind in closing)
            # What loses a score all alone is what a mistake cannot hide behind.
            faults = closing - {"none"}
            seen.update(("only", kind) for kind in faults if len(faults) == 1)
            seen.update(("bound", name) for name in each.uncomfortable)
            seen.update((name, value) for name, value in each.sub_scores.items() if name != "ego_progress")
            progress = each.sub_scores["ego_progress"]
            seen["progress", "between" if 0 < progress < 1 else progress] += 1
    halves, whole = {"no_at_fault_collisions", "driving_direction_compliance"}, {0.0, 1.0}
    wanted = {(name, value) for name in proposals[0].sub_scores if name != "ego_progress" for value in whole}
    wanted |= {(name, 0.5) for name in halves}
    wanted |= {("hit", kind, True) for kind in ("stopped track", "front", "lateral")}
    wanted |= {("hit", kind, False) for kind in ("stopped ego", "rear", "lateral")}
    wanted |= {("closing", kind) for kind in ("ahead", "multiple lanes", "nondrivable", "intersection", "none")}
    wanted |= {("only", kind) for kind in ("ahead", "multiple lanes")}
    wanted |= {("progress", kind) for kind in (0.0, "between", 1.0)}
    if protocol is Protocol.V2:
        wanted |= {("bound", name) for name in BOUNDS} | {("only", "intersection"), ("only", "nondrivable")}
        forgiven = ("drivable_area_compliance", "driving_direction_compliance", "traffic_light_compliance", "lane_keeping")
        wanted |= {("human", name) for name in (*forgiven, "no_at_fault_collisions", "time_to_collision")}
    assert not (missing := {each for each in wanted if not seen[each]}), missing


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_close_encounter_is_judged_as_the_reader_does(protocol: Protocol) -> None:
    """Many of them, so that the limits of angles, speeds and look-ahead all lie between two."""
    encounters = [random_encounter(seed, protocol) for seed in range(250)]
    states = torch.tensor(np.array([drive for _, drive in encounters])[:, None])
    verdicts = judge(SceneBatch.of([scene for scene, _ in encounters]), states).verdicts
    seen: Counter[tuple[str, bool]] = Counter()
    for i, (scene, motion) in enumerate(encounters):
        drive = Drive(World(scene), motion)
        collisions, closings = oracle_rules.collisions(drive), oracle_rules.time_to_collision(drive)
        expected = oracle_rules.no_at_fault_collisions(drive, collisions)
        assert float(verdicts["no_at_fault_collisions"].value[i, 0]) == expected, scene.token
        assert bool(verdicts["time_to_collision"].value[i, 0] == 0) == any(event.is_fault for event in closings), scene.token
        seen.update((event.kind, event.is_fault) for event in [*collisions, *closings])
    kinds = [("stopped ego", False), ("stopped track", True), ("front", True), ("lateral", False), ("rear", False)]
    assert min(seen[kind] for kind in [*kinds, ("ahead", True), ("none", False)]) > 2, seen


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_progress_is_measured_as_the_reader_does(protocol: Protocol, judged: dict[Protocol, Judgements]) -> None:
    rng = np.random.default_rng(12)
    metres, factors = (
        rng.uniform(0, 12, (400, 2)) * rng.choice([0.0, 1.0], (400, 2), p=[0.1, 0.9]),
        rng.choice([0, 0.5, 1], (400, 2)),
    )
    best = torch.tensor((metres * factors).max(axis=1))
    found = normalise(torch.tensor(metres[:, 0]), torch.tensor(factors[:, 0]), best, protocol)
    some = judged[protocol][0][1][0]
    free = dict.fromkeys(some.sub_scores, 1.0)
    for i in range(400):
        own, other = (
            replace(some, progress=metres[i, k], sub_scores={**free, "no_at_fault_collisions": factors[i, k]}) for k in (0, 1)
        )
        expected = oracle.with_progress(1 if protocol is Protocol.V1 else 2, own, other).sub_scores["ego_progress"]
        assert float(found[i]) == pytest.approx(expected, abs=1e-12), (metres[i], factors[i])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_comfort_of_any_motion_is_as_the_reader_says(protocol: Protocol) -> None:
    motions, past_steps = random_states(5, 100, 56), 15
    states = torch.tensor(motions[:, None, past_steps:])
    if protocol is Protocol.V1:
        lengths = np.zeros(len(motions), dtype=np.int64)
        verdict = comfort(states, corrected=False)
    else:
        lengths = np.random.default_rng(7).choice([14, past_steps], len(motions))
        past = torch.tensor(motions[:, :past_steps])
        verdict = history_comfort(states, past, torch.tensor(lengths), corrected=False)
    seen: Counter[str] = Counter()
    for i, motion in enumerate(motions):
        known = oracle_comfort.measures(motion[past_steps - lengths[i] :], 1 if protocol is Protocol.V1 else 2)
        exceeded = oracle_comfort.exceeded(known)
        assert float(verdict.value[i, 0]) == float(not exceeded), f"motion {i}: {exceeded}"
        seen.update(exceeded if len(exceeded) == 1 else ["several" if exceeded else "none"])
    # Each bound decides by itself in some of the motions, but for jerk, which comes with much acceleration.
    assert set(seen) >= (BOUNDS - {"jerk", "longitudinal_jerk"}) | {"none", "several"}, seen


def test_extended_comfort_of_any_two_motions_is_as_the_reader_says() -> None:
    now, previous = random_states(8, 60, 41), random_states(9, 60, 41)
    nearness = np.random.default_rng(10).uniform(0, 1, (60, 1, 1)) ** 2
    now[:, :-5] = previous[:, 5:] + nearness * (now[:, :-5] - previous[:, 5:])
    verdict = extended_comfort(torch.tensor(now[:, None]), torch.tensor(previous[:, None]), interval_s=0.5)
    expected = [oracle_comfort.extended_comfort(*pair) for pair in zip(now, previous, strict=True)]
    assert 0.1 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(verdict.value[:, 0].numpy(), expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(seed=seeds, corrected=st.booleans())
@quick
def test_scores_lie_between_zero_and_one(protocol: Protocol, seed: int, corrected: bool) -> None:
    scene = replace(random_scene(seed, protocol), corrected=corrected)
    scores = score(scene, random_poses(seed, scene, 3))
    assert set(scores.verdicts) == set(METRICS[scores.metric].sub_scores)
    for name, values in {**scores.verdicts, "total": scores}.items():
        value = values.total if isinstance(values, Scores) else values.value
        assert value.shape == (1, 3)
        assert name == "extended_comfort" or ((value >= 0) & (value <= 1)).all(), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(seed=seeds, x=st.floats(-1e3, 1e3), y=st.floats(-1e3, 1e3), angle=st.floats(-4, 4))
@quick
def test_the_frame_of_a_scene_does_not_matter(protocol: Protocol, seed: int, x: float, y: float, angle: float) -> None:
    scene = random_scene(seed, protocol)
    poses = random_poses(seed, scene, 4)
    here, there = score(scene, poses), score(moved(scene, np.array([x, y, angle])), poses)
    for name in here.verdicts:
        torch.testing.assert_close(here[name], there[name], rtol=0, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(here.total, there.total, rtol=0, atol=1e-9)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(seed=seeds, index=st.integers(0, 4))
@quick
def test_one_more_road_user_never_raises_the_collision_score(protocol: Protocol, seed: int, index: int) -> None:
    scene = random_scene(seed, protocol, num_tracks=5)
    poses = random_poses(seed, scene, 6)
    more, fewer = (score(each, poses, human_filter=False) for each in (scene, without_track(scene, index)))
    assert (more["no_at_fault_collisions"] <= fewer["no_at_fault_collisions"]).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(first=seeds, second=seeds, third=seeds)
@quick
def test_a_batch_equals_its_parts(protocol: Protocol, first: int, second: int, third: int) -> None:
    together = _score([first, second, third], protocol)
    for i, seed in enumerate((first, second, third)):
        alone = _score([seed], protocol)
        scene = random_scene(seed, protocol)
        single = score(scene, random_poses(seed, scene, 3)[1:2])
        for name, verdict in together.verdicts.items():
            torch.testing.assert_close(verdict.value[i], alone[name][0], rtol=0, atol=1e-12, equal_nan=True)
            torch.testing.assert_close(verdict.value[i, 1:2], single[name][0], rtol=0, atol=1e-12, equal_nan=True)
            assert torch.equal(verdict.agent[i], alone.verdicts[name].agent[0])
            assert torch.equal(verdict.step[i], alone.verdicts[name].step[0])
        torch.testing.assert_close(together.total[i], alone.total[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("worst", [np.nan, np.inf, 1e9])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_plan_that_is_none_is_named_or_scores_zero(protocol: Protocol, worst: float) -> None:
    scenes = [random_scene(seed, protocol) for seed in (3, 4)]
    poses = np.array([random_poses(seed, scene, 4) for seed, scene in zip((3, 4), scenes, strict=True)])
    clean = score(scenes, poses)
    poses[1, 2, 5, 0] = worst
    with pytest.raises(InputError, match=f"Proposal 2 of scene '{scenes[1].token}'"):
        score(scenes, poses)
    scores = score(scenes, poses, on_invalid="zero")
    assert scores.total[1, 2] == 0
    assert not scores.is_valid[1, 2]
    others = torch.ones(2, 4, dtype=torch.bool)
    others[1, 2] = False
    assert torch.equal(scores.is_valid, others)
    torch.testing.assert_close(scores.total[others], clean.total[others], rtol=0, atol=1e-12)


def test_a_plan_of_another_shape_is_named_or_scores_zero() -> None:
    scene = random_scene(3, Protocol.V2)
    poses = [list(random_poses(3, scene, 3))]
    poses[0][1] = poses[0][1][:5]
    with pytest.raises(InputError, match=f"Proposal 1 of scene '{scene.token}'"):
        score([scene], poses)
    scores = score([scene], poses, on_invalid="zero")
    assert scores.is_valid.tolist() == [[True, False, True]]
    assert scores.total[0, 1] == 0


def test_scenes_with_other_traffic_do_not_disturb_an_empty_one() -> None:
    """Padding is where ragged batches go wrong."""
    empty = random_scene(11, Protocol.V2, num_tracks=0)
    bare = replace(empty, human_reference=None)
    poses = random_poses(11, empty, 3)
    alone = score(bare, poses, human_filter=False)
    full = random_scene(12, Protocol.V2, num_tracks=9)
    together = score(SceneBatch.of([full, bare]), np.array([poses, poses]), human_filter=False)
    for name in alone.verdicts:
        torch.testing.assert_close(together[name][1], alone[name][0], rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize(("interval_s", "poses"), [(0.1, 40), (0.2, 20), (1.0, 4), (0.5, 10)])
def test_plans_of_any_interval_are_followed_as_the_reader_does(interval_s: float, poses: int) -> None:
    scenes = [random_scene(seed, Protocol.V2) for seed in range(4)]
    times = interval_s * np.arange(1, poses + 1)
    plan = np.stack([6 * times, 0.3 * times**2, 0.1 * times], axis=-1)
    scores = score(scenes, np.tile(plan, (4, 1, 1, 1)), interval_s=interval_s)
    for i, scene in enumerate(scenes):
        reference = interpolate(scene.ego_state[:3], scene.timestamp_us, plan, interval_s)
        expected = oracle.judge_references(scene, reference[None])[0][0]
        error = scores.states[i, 0].numpy() - expected.states
        error[:, 2] = (error[:, 2] + np.pi) % (2 * np.pi) - np.pi
        assert np.abs(error).max() < 1e-9
        assert float(scores["ego_progress"][i, 0]) == pytest.approx(expected.sub_scores["ego_progress"], abs=1e-9)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_lost_score_says_truly_where_it_was_lost(protocol: Protocol, judged: dict[Protocol, Judgements]) -> None:
    scores = _score(list(SEEDS), protocol, NUM_PLANS, human_filter=False)
    seen: Counter[str] = Counter()
    for i, (scene, proposals, _) in enumerate(judged[protocol]):
        costs = np.where(scene.tracks.is_agent, 0.0, 0.5)
        for j, each in enumerate(proposals):
            hits = {(hit.step, hit.track) for hit in each.collisions if hit.is_fault}
            worst = {(step, track) for step, track in hits if costs[track] == each.sub_scores["no_at_fault_collisions"]}
            closings = {(event.step, event.track) for event in each.time_to_collision if event.is_fault}
            for name, events in (("no_at_fault_collisions", worst), ("time_to_collision", closings)):
                verdict = scores.verdicts[name]
                found = (int(verdict.step[i, j]), int(verdict.agent[i, j]))
                assert found == (-1, -1) if not events else found in events, f"{scene.token}, plan {j}: {name}"
                assert not events or found[0] == min(step for step, _ in events), f"{scene.token}, plan {j}: {name}"
                seen[name] += bool(events)
            leaves = np.flatnonzero(each.is_nondrivable)
            step = int(scores.verdicts["drivable_area_compliance"].step[i, j])
            assert step == (leaves[0] if len(leaves) else -1), f"{scene.token}, plan {j}"
            seen["drivable_area_compliance"] += bool(len(leaves))
    assert min(seen.values()) > 5, seen
