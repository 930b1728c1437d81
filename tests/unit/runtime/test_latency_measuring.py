"""The harness on a clock that only fake engines move: every number it reports is known beforehand."""

from __future__ import annotations

import gc
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from latency_fakes import OPTIONS, FailingEngine, FakeClock, SensorTimedEngine, TimedEngine, small_observations

from diffdrive.contracts import InputError
from diffdrive.features.inputs import build_inputs, pack_sensors
from diffdrive.model import nano
from diffdrive.runtime import EngineOptions, PlainEngine, Planner, Precision
from diffdrive.runtime.latency import (
    BenchSettings,
    EngineChoice,
    FrameCycle,
    FrameFailedError,
    FrameSizes,
    LoopSettings,
    StageTimer,
    Subject,
    Timed,
    bench,
    compare,
    describe_environment,
    disagreement,
    measure,
    measure_pair,
    measure_stages,
    plain,
    random_planner,
    synthetic_observations,
    write_json,
)
from diffdrive.runtime.latency.environment import run_command
from diffdrive.runtime.latency.random_model import anchor_fan

LOOP = LoopSettings(frames=6, warm_up=5)


def nothing() -> None:
    pass


def subject(engine: TimedEngine, **options: Any) -> Subject:
    return Subject(engine, EngineOptions(**options), name=engine.name)


@pytest.mark.parametrize("warm_up", [0, 4, -1])
def test_no_number_without_a_warm_up(warm_up: int) -> None:
    with pytest.raises(InputError, match="warm-up"):
        LoopSettings(frames=10, warm_up=warm_up)
    with pytest.raises(InputError, match="At least 1 frame"):
        LoopSettings(frames=0)
    assert LoopSettings().frames >= 1000


def test_only_frames_after_the_warm_up_count_and_all_are_different() -> None:
    clock, seen = FakeClock(), []

    def work(index: int) -> None:
        seen.append(index)
        clock.now += 100.0 if index < LOOP.warm_up else float(index)

    times = measure(Timed(work, nothing), LOOP, clock)
    assert times.tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert seen == list(range(11))


def test_something_can_be_read_between_warm_up_and_frames() -> None:
    order: list[str] = []
    work = Timed(lambda index: order.append("frame"), nothing)
    few = LoopSettings(frames=2, warm_up=5)
    measure(work, few, FakeClock(), lambda: order.append("warm"))
    assert order == ["frame"] * 5 + ["warm"] + ["frame"] * 2
    order.clear()
    measure_pair(work, work, few, FakeClock(), lambda: order.append("warm"))
    assert order == ["frame"] * 10 + ["warm"] + ["frame"] * 4


def test_the_device_is_waited_for_inside_the_bracket() -> None:
    clock, owed = FakeClock(), [0.0]

    def work(index: int) -> None:
        owed[0] += 3.0

    def wait() -> None:
        clock.now += owed[0]
        owed[0] = 0.0

    assert measure(Timed(work, wait), LOOP, clock).tolist() == [3.0] * 6


def test_the_garbage_collector_is_off_while_frames_run_and_then_as_before() -> None:
    states = []
    measure(Timed(lambda index: states.append(gc.isenabled()), nothing), LOOP, FakeClock())
    assert states[LOOP.warm_up :] == [False] * 6
    assert gc.isenabled()


def test_two_subjects_take_turns_in_changing_order() -> None:
    clock, order = FakeClock(), []

    def worker(name: str, cost: float) -> Timed:
        def work(index: int) -> None:
            order.append(f"{name}{index}")
            clock.now += cost

        return Timed(work, nothing)

    a, b = measure_pair(worker("a", 2.0), worker("b", 0.5), LoopSettings(frames=4, warm_up=5), clock)
    assert (a.tolist(), b.tolist()) == ([2.0] * 4, [0.5] * 4)
    assert order[10:] == ["a5", "b5", "b6", "a6", "a7", "b7", "b8", "a8"]


def test_stages_are_kept_apart_and_a_repeated_one_is_added_up() -> None:
    clock = FakeClock()

    def work(index: int, timer: StageTimer) -> None:
        for stage, cost in (("first", 1.0), ("second", 0.25), ("first", 2.0)):
            clock.now += cost
            timer.mark(stage)
        if index % 2:
            timer.mark("now and then")

    stages = measure_stages(work, StageTimer(clock, nothing), LOOP)
    assert list(stages) == ["first", "second", "now and then"]
    assert stages["first"].tolist() == [3.0] * 6 and stages["second"].tolist() == [0.25] * 6
    assert stages["now and then"].tolist() == [0.0] * 6


def test_bench_of_a_known_engine() -> None:
    clock = FakeClock()
    engine = TimedEngine(clock)
    settings = BenchSettings(loop=LOOP, deadline_s=2.5)
    record = bench(subject(engine), small_observations(), settings, clock)
    assert engine.warm_ups == 1
    assert (record["frames"], record["warm_up_frames"]) == (6, 5)
    assert record["end_to_end"]["p50_ms"] == record["end_to_end"]["max_ms"] == 3000.0
    assert record["end_to_end"]["misses"] == 6 and record["end_to_end"]["jitter_ms"] == 0.0
    assert record["network"]["p99_ms"] == 3000.0
    assert list(record["stages"]) == ["preprocess", "copy", "backbone", "decoder", "post"]
    medians = {stage: table["p50_ms"] for stage, table in record["stages"].items()}
    assert medians == {"preprocess": 0.0, "copy": 0.0, "backbone": 2000.0, "decoder": 1000.0, "post": 0.0}
    assert record["engine"]["degraded"] is None and "Planner.plan" in record["engine"]["end_to_end"]
    assert record["observations"] == {"different": 3, "image_rows_columns": [270, 480], "lidar_points": 50}
    assert {"resident_bytes", "peak_resident_bytes", "cuda_allocations"} <= set(record["memory"]["before"])
    assert json.loads(json.dumps(record)) == record


def test_end_to_end_frames_differ_one_by_one() -> None:
    engine = TimedEngine(FakeClock())
    one = subject(engine)
    frames = FrameCycle(small_observations(), 1)
    for index in range(4):
        one.plan(frames[index])
    assert [float(inputs.status[0, 4]) for inputs in engine.calls] == [0.0, 1.0, 2.0, 0.0]


def test_a_batch_takes_the_next_scenes_and_answers_like_the_planner() -> None:
    engine = TimedEngine(FakeClock())
    batch = subject(engine, batch_size=2)
    frames = FrameCycle(small_observations(), 2)
    batch.plan(frames[0])
    batch.plan(frames[1])
    assert [inputs.status[:, 4].tolist() for inputs in engine.calls] == [[0.0, 1.0], [2.0, 0.0]]
    assert "without checks" in batch.end_to_end


def test_the_stages_are_those_of_the_planner() -> None:
    engine = PlainEngine(random_planner(nano()))
    seen = small_observations(1)[0]
    answer = Subject(engine, OPTIONS, name="plain", seed=3).run_stages([seen], lambda stage: None)
    plan = Planner(engine, seed=3).plan(seen)
    np.testing.assert_array_equal(answer.poses[0].numpy(), plan.proposals)
    np.testing.assert_allclose(answer.scores[0].numpy(), plan.scores, atol=1e-12)
    np.testing.assert_array_equal(answer.chosen[0].numpy(), plan.trajectory.poses)


def test_an_engine_that_preprocesses_gets_its_memory_packed() -> None:
    clock = FakeClock()
    engine = SensorTimedEngine(clock, batch_size=2)
    both = subject(engine, batch_size=2)
    seen = small_observations(2)
    timer = StageTimer(clock, nothing)
    timer.start()
    both.run_stages(seen, timer.mark)
    assert timer.seconds == {
        "pack": 0.0, "copy": 0.5, "preprocess": 0.25, "backbone": 2.0, "decoder": 1.0, "post": 0.0,
    }  # fmt: skip
    assert list(timer.seconds) == ["pack", "copy", "preprocess", "backbone", "decoder", "post"]
    (sensors,) = engine.seen
    assert sensors is engine.staging
    for row, observation in enumerate(seen):
        expected = pack_sensors(observation, (270, 480), 64)
        assert all(
            torch.equal(getattr(sensors, name)[row], getattr(expected, name)[0]) for name in ("images", "points", "status")
        )


def test_compare_of_known_engines() -> None:
    clock = FakeClock()
    slow, fast = TimedEngine(clock, 4.0, 2.0, name="slow"), TimedEngine(clock, 1.0, 0.5, name="fast", shift=0.125)
    record = compare(subject(slow), subject(fast), small_observations(), BenchSettings(loop=LOOP, deadline_s=2.0), clock)
    assert record["ratio"] == record["ratio_network"] == 4.0
    assert record["ratio_interval_95"] == [4.0, 4.0]
    assert (record["a"]["name"], record["b"]["name"]) == ("slow", "fast")
    assert (record["end_to_end"]["a"]["misses"], record["end_to_end"]["b"]["misses"]) == (6, 0)
    apart = record["largest_difference"]
    assert (apart["position_m"], apart["heading_rad"], apart["logit"], apart["same_choice"]) == (0.125, 0.0, 0.25, 1.0)
    assert apart["pose"] == 0.125
    assert set(record["memory"]) == {"before", "after"}
    assert slow.warm_ups == fast.warm_ups == 1


def test_an_answer_that_is_not_finite_is_infinitely_far() -> None:
    clock = FakeClock()
    fine, broken = (
        subject(TimedEngine(clock, shift=shift)).run_stages(small_observations(1), lambda stage: None)
        for shift in (0.0, float("nan"))
    )
    for pair in ((fine, broken), (broken, fine), (broken, broken)):
        apart = disagreement(*pair)
        assert apart.position_m == apart.logit == float("inf")
        assert not apart.within(pose=1e9, logit=1e9)
    assert disagreement(fine, fine).within(pose=0.0, logit=0.0)


def test_a_fallback_is_no_latency() -> None:
    clock = FakeClock()
    with pytest.raises(FrameFailedError, match=r"fake: The network stopped with an error.*out of memory"):
        bench(subject(FailingEngine(clock)), small_observations(), BenchSettings(loop=LOOP), clock)


@pytest.mark.parametrize(("text", "name", "precision"), [("plain", "plain", "fp32"), ("compiled:bf16", "compiled", "bf16")])
def test_an_engine_choice_is_one_word(text: str, name: str, precision: str) -> None:
    choice = EngineChoice.parse(text)
    assert (choice.name, choice.precision.value) == (name, precision)
    assert str(choice) == f"{name}:{precision}"


@pytest.mark.parametrize("text", ["", ":bf16", "plain:", "plain:int8", "plain:fp32:fp32"])
def test_what_is_no_engine_choice_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="fp32, bf16, fp16"):
        EngineChoice.parse(text)


def test_the_choice_and_the_options_must_agree() -> None:
    with pytest.raises(InputError, match="Give both the same"):
        Subject.make(EngineChoice("plain", Precision.BFLOAT16), random_planner(nano()), OPTIONS)


def test_synthetic_frames_come_from_their_seed_and_fit_every_layout() -> None:
    sizes = FrameSizes(image_size=(270, 480), num_points=2000)
    first, again, other = (synthetic_observations(2, seed=seed, sizes=sizes) for seed in (0, 0, 1))
    layout = nano().inputs
    inputs = [build_inputs(each, layout) for each in (*first, *again, *other)]
    assert torch.equal(inputs[0].camera, inputs[2].camera) and torch.equal(inputs[1].lidar, inputs[3].lidar)
    for a, b in ((0, 1), (0, 4)):
        assert not torch.equal(inputs[a].camera, inputs[b].camera) and not torch.equal(inputs[a].lidar, inputs[b].lidar)
    assert 0.005 < float((inputs[0].lidar > 0).float().mean()) < 0.5
    with pytest.raises(InputError, match="multiples of 30"):
        FrameSizes(image_size=(1000, 1920))


def test_random_weights_come_from_their_seed_and_every_weight_counts() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (random_planner(nano(), seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    constant = [name for name, value in first.named_parameters() if value.numel() > 1 and float(value.detach().std()) == 0]
    assert not constant
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True) if a.numel() > 1)
    assert anchor_fan(nano()).isfinite().all() and anchor_fan(nano()).std(dim=0).min() > 0.1


def test_the_environment_says_where_and_from_what() -> None:
    date = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    known = {"ls-files": "__init__.py", "status": " M file", "rev-parse": "abc123"}

    def runner(words: Any) -> str | None:
        return known.get(words[3])

    record = describe_environment(torch.device("cpu"), date=date, arguments=["diffdrive", "bench"], runner=runner)
    assert record["date"] == "2026-01-02T03:04:05+00:00" and record["command"] == ["diffdrive", "bench"]
    assert (record["commit"], record["modified"], record["gpu"]) == ("abc123", True, None)
    assert record["torch"] == torch.__version__ and record["threads"] >= 1 and len(record["load_average"]) == 3
    known["status"] = ""
    assert describe_environment(torch.device("cpu"), date=date, arguments=[], runner=runner)["modified"] is False
    del known["ls-files"]  # installed, inside somebody else's repository
    elsewhere = describe_environment(torch.device("cpu"), date=date, arguments=[], runner=runner)
    assert (elsewhere["commit"], elsewhere["modified"]) == (None, None)
    json.dumps(record)


def test_a_command_that_fails_or_is_missing_says_nothing() -> None:
    assert run_command([sys.executable, "-c", "print(7)"]) == "7"
    assert run_command([sys.executable, "-c", "import sys; print(7); sys.exit(1)"]) is None
    assert run_command(["no-such-program-anywhere"]) is None


def test_json_is_written_whole_and_holds_only_json(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("before")
    write_json(path, {"a": [1.5, float("nan")], "b": {"c": float("inf")}})
    assert json.loads(path.read_text()) == {"a": [1.5, None], "b": {"c": None}}
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text())["a"][0] == 1.5
    assert list(tmp_path.iterdir()) == [path]
    assert plain((1, "x", True, None)) == [1, "x", True, None]
