"""The choice of scenes: its bounds hold, its counts add up, and nothing but rules decides."""

import itertools
import random

import numpy as np
import pytest
from benchmark_data import candidate, moved, random_candidates

from diffdrive.benchmark.candidates import Candidate
from diffdrive.benchmark.choice import choose, is_hard
from diffdrive.benchmark.config import SPLITS, BenchmarkConfig, Split, split_called
from diffdrive.benchmark.tags import Density, EventTag, Manoeuvre
from diffdrive.contracts import InputError

CONFIG = BenchmarkConfig()
ROUNDING = 1e-9
SPLIT = Split(name="test", first_seed=6000, last_seed=6999, num_scenes=60)


def mean(scenes: tuple[Candidate, ...], driver: str) -> float:
    return float(np.mean([scene.scores[driver] for scene in scenes]))


@pytest.mark.parametrize("seed", range(4))
def test_every_bound_holds_for_what_is_chosen(seed: int) -> None:
    chosen = choose(random_candidates(600, seed), SPLIT, CONFIG).scenes
    assert len(chosen) == 60
    assert mean(chosen, "human") >= 0.92 - ROUNDING
    assert mean(chosen, "constant_velocity") <= 0.45 + ROUNDING
    assert mean(chosen, "constant_turn_rate") <= 0.50 + ROUNDING
    assert mean(chosen, "blind") <= 0.75 + ROUNDING
    assert np.mean([scene.scores["constant_velocity"] > 0.8 for scene in chosen]) <= 0.08
    assert np.mean([scene.tags.manoeuvre is Manoeuvre.STANDING for scene in chosen]) <= 0.03
    assert min(scene.scores["human"] for scene in chosen) >= 0.8


def test_the_candidates_alone_would_not_meet_the_bounds() -> None:
    """Otherwise the test above would test nothing."""
    everything = tuple(random_candidates(600))
    assert mean(everything, "human") < 0.92
    assert mean(everything, "constant_velocity") > 0.45
    assert np.mean([scene.scores["constant_velocity"] > 0.8 for scene in everything]) > 0.08


def test_every_candidate_is_chosen_or_dropped_by_one_rule() -> None:
    everything = [*random_candidates(300), Candidate(token="x-1", log_name="x", location="x", timestamp_us=1, error="no map")]
    choice = choose(everything, SPLIT, CONFIG)
    assert len(choice.scenes) + sum(choice.dropped.values()) == len(everything)
    assert choice.dropped["cannot be judged"] == 1
    assert choice.dropped["expert scores too little"] == sum(each.scores["human"] < 0.8 for each in everything[:-1])


def test_the_order_of_candidates_does_not_matter() -> None:
    everything = random_candidates(300)
    shuffled = list(everything)
    random.Random(3).shuffle(shuffled)
    assert choose(shuffled, SPLIT, CONFIG) == choose(everything, SPLIT, CONFIG)


def test_rare_tags_are_chosen_before_common_ones() -> None:
    common = [candidate(k) for k in range(200)]
    rare = [candidate(200 + k, manoeuvre=Manoeuvre.ROUNDABOUT, density=Density.DENSE) for k in range(10)]
    odd = [candidate(220 + k, events=(EventTag.CUT_IN,)) for k in range(10)]
    chosen = choose([*common, *rare, *odd], SPLIT, CONFIG).scenes
    assert sum(scene.tags.manoeuvre is Manoeuvre.ROUNDABOUT for scene in chosen) == 10
    assert sum(EventTag.CUT_IN in scene.tags.events for scene in chosen) == 10


def test_scenes_of_one_log_keep_their_distance() -> None:
    close = [moved(candidate(0), log_name="town6000-log00", timestamp_us=500_000 * k) for k in range(40)]
    choice = choose(close, SPLIT, CONFIG)
    times = [scene.timestamp_us for scene in choice.scenes]
    assert min(np.diff(sorted(times))) >= 2_000_000
    assert choice.dropped["too close to a chosen scene"] == 40 - len(times)


def test_a_bound_that_cannot_be_kept_makes_the_split_smaller_not_wrong() -> None:
    easy = [candidate(k, constant_velocity=0.7) for k in range(50)]
    hard = [candidate(50 + k, constant_velocity=0.0) for k in range(10)]
    choice = choose([*easy, *hard], SPLIT, CONFIG)
    assert 10 < len(choice.scenes) < 60
    assert mean(choice.scenes, "constant_velocity") <= 0.45 + ROUNDING
    assert choice.dropped["mean of constant velocity"] == 60 - len(choice.scenes)


def test_hard_scenes_are_those_where_simple_drivers_fail_or_a_script_acts() -> None:
    assert is_hard(candidate(0, constant_velocity=0.4, blind=0.4), CONFIG)
    assert not is_hard(candidate(0, constant_velocity=0.4, blind=0.6), CONFIG)
    assert not is_hard(candidate(0, blind=0.6, events=(EventTag.LEAD_VEHICLE, EventTag.NUDGE)), CONFIG)
    assert is_hard(candidate(0, blind=0.6, events=(EventTag.LEAD_VEHICLE, EventTag.JAYWALKER)), CONFIG)
    everything = random_candidates(300)
    choice = choose(everything, split_called("test-hard"), CONFIG)
    assert choice.scenes and all(is_hard(scene, CONFIG) for scene in choice.scenes)
    assert choice.dropped["not hard"] > 0


def test_nothing_left_is_an_error_that_says_what_was_dropped() -> None:
    with pytest.raises(InputError, match="'expert scores too little': 5"):
        choose([candidate(k, human=0.5) for k in range(5)], SPLIT, CONFIG)


def test_splits_share_no_seed_and_leave_the_shipped_logs_alone() -> None:
    ranges = sorted((split.first_seed, split.last_seed) for split in SPLITS.values())
    assert all(a[1] < b[0] for a, b in itertools.pairwise(ranges))
    assert ranges[-1][1] < 9000
    with pytest.raises(InputError, match="Known splits: train, val, test, test-hard"):
        split_called("dev")


def test_wrong_rules_are_refused() -> None:
    with pytest.raises(InputError, match="scores and shares lie in"):
        BenchmarkConfig(min_expert=80.0)
    with pytest.raises(InputError, match="stride_s <= min_spacing_s"):
        BenchmarkConfig(stride_s=3.0)
