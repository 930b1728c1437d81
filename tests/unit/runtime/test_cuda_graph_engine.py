"""The CUDA-graph engine's logic, with a recorder that needs no GPU: what it computes, and what it trusts."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from graph_fakes import MAX_POINTS, OPTIONS, FakeRecorder, Work, some_inputs, some_noise, some_sensors, tiny_model

from diffdrive.contracts import InputError
from diffdrive.features.inputs.on_device import SensorPreprocessor
from diffdrive.runtime import ENGINES, Engine, EngineOptions, PlainEngine, SensorEngine, make_engine
from diffdrive.runtime.cuda_graph import NUM_TRIALS, CudaGraphEngine, DeviceLostError
from diffdrive.runtime.eager import EagerEngine
from diffdrive.runtime.graph import StaleAnswerError
from diffdrive.tensors import PlannerInputs, Proposals, SensorTensors


def engine_with(recorder: FakeRecorder, options: EngineOptions = OPTIONS) -> CudaGraphEngine:
    return CudaGraphEngine(tiny_model(), options, recorder)


def assert_equal(one: Proposals, other: Proposals, atol: float = 0.0) -> None:
    torch.testing.assert_close(one.poses, other.poses, atol=atol, rtol=0.0)
    torch.testing.assert_close(one.logits, other.logits, atol=atol, rtol=0.0)


def preprocessed(sensors: SensorTensors) -> PlannerInputs:
    camera, lidar = SensorPreprocessor(tiny_model().config.inputs, OPTIONS.image_size)(sensors.images, sensors.points)
    return PlannerInputs(camera=camera, lidar=lidar, status=sensors.status)


def test_it_is_a_sensor_engine_known_by_name() -> None:
    engine = engine_with(FakeRecorder())
    assert engine.name in ENGINES
    assert isinstance(engine, Engine) and isinstance(engine, SensorEngine)
    assert engine.staging.images.shape == (1, 3, 270, 480, 3)
    assert engine.staging.points.shape == (1, MAX_POINTS, 3)
    assert "fp32" in engine.description and "cpu" in engine.description


def test_replays_are_the_network_on_inputs_and_on_sensors() -> None:
    recorder = FakeRecorder()
    engine, plain = engine_with(recorder), PlainEngine(tiny_model())
    engine.warm_up()
    assert engine.degraded == ""
    assert recorder.num_captures == 2, "one graph from the sensors, one from ready inputs"
    assert recorder.num_replays == 2 * NUM_TRIALS
    for seed in range(3):
        sensors, noise = some_sensors(seed), some_noise(seed, engine.spec.noise_shape)
        expected = plain.run(preprocessed(sensors), noise)
        assert_equal(engine.run_sensors(sensors, noise), expected, atol=1e-4)
        assert_equal(engine.run(preprocessed(sensors), noise), expected, atol=1e-4)
    assert recorder.num_replays == 2 * NUM_TRIALS + 6
    assert recorder.num_captures == 2


def test_the_first_call_records_when_nobody_warmed_up_and_keeps_its_frame() -> None:
    engine, warm = engine_with(FakeRecorder()), engine_with(FakeRecorder())
    warm.warm_up()
    sensors, noise = some_sensors(1), some_noise(1, engine.spec.noise_shape)
    for name in ("images", "status"):
        getattr(engine.staging, name).copy_(getattr(sensors, name))
    engine.staging.points[:, :500] = sensors.points
    assert_equal(engine.run_sensors(engine.staging, noise), warm.run_sensors(sensors, noise))


def test_a_longer_sweep_before_leaves_no_points_behind() -> None:
    engine = engine_with(FakeRecorder())
    noise = some_noise(1, engine.spec.noise_shape)
    short = some_sensors(2, num_points=20)
    expected = engine.run_sensors(short, noise)
    engine.run_sensors(some_sensors(3, num_points=MAX_POINTS), noise)
    assert_equal(engine.run_sensors(short, noise), expected)


def test_after_warm_up_nothing_but_the_next_frame_is_in_the_staging_memory() -> None:
    engine = engine_with(FakeRecorder())
    engine.warm_up()
    assert not engine.staging.images.any() and not engine.staging.status.any()
    assert bool((engine.staging.points[..., 2] == -torch.inf).all())


def test_results_are_the_callers_own() -> None:
    engine = engine_with(FakeRecorder())
    first = engine.run_sensors(some_sensors(1), some_noise(1, engine.spec.noise_shape))
    poses, logits = first.poses.clone(), first.logits.clone()
    second = engine.run_sensors(some_sensors(2), some_noise(2, engine.spec.noise_shape))
    assert not torch.equal(second.poses, poses)
    assert torch.equal(first.poses, poses) and torch.equal(first.logits, logits)


def test_stages_are_graphs_of_their_own_and_give_the_same() -> None:
    recorder = FakeRecorder()
    engine = engine_with(recorder)
    engine.warm_up()
    sensors, noise = some_sensors(4), some_noise(4, engine.spec.noise_shape)
    whole, heard = engine.run_sensors(sensors, noise), []
    waits = recorder.num_waits
    assert_equal(engine.run_sensors(sensors, noise, lambda stage: heard.append((stage, recorder.num_waits - waits))), whole)
    assert [stage for stage, _ in heard] == ["copy", "preprocess", "backbone", "decoder"]
    assert [count for _, count in heard] == [2, 3, 4, 5], "the device is waited for before each mark"
    assert recorder.num_captures == 6
    heard.clear()
    assert_equal(engine.run(preprocessed(sensors), noise, lambda stage: heard.append((stage, 0))), whole)
    assert [stage for stage, _ in heard] == ["backbone", "decoder"]
    assert_equal(engine.run_sensors(sensors, noise), whole)
    engine.run_sensors(sensors, noise, heard.append)
    assert recorder.num_captures == 8, "recorded once"


def test_nothing_is_allocated_on_the_host_per_call() -> None:
    recorder = FakeRecorder()
    engine = engine_with(recorder)
    engine.warm_up()
    before = recorder.num_hosts
    for seed in range(3):
        engine.run_sensors(some_sensors(seed), some_noise(seed, engine.spec.noise_shape))
    assert recorder.num_hosts == before


def test_the_heads_that_are_asked_for() -> None:
    options = replace(OPTIONS, wants_agents=True, wants_bev=True)
    engine, plain = engine_with(FakeRecorder(), options), PlainEngine(tiny_model())
    inputs, noise = some_inputs(5, tiny_model().config), some_noise(5, engine.spec.noise_shape)
    answer, expected = engine.run(inputs, noise), plain.run(inputs, noise)
    assert answer.agents is not None and expected.agents is not None
    torch.testing.assert_close(answer.agents.states, expected.agents.states, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(answer.bev_logits, expected.bev_logits, atol=1e-4, rtol=0.0)
    bare = engine_with(FakeRecorder()).run(inputs, noise)
    assert bare.agents is None and bare.bev_logits is None


def test_a_batch_is_its_scenes() -> None:
    three, one = engine_with(FakeRecorder(), replace(OPTIONS, batch_size=3)), engine_with(FakeRecorder())
    sensors, noise = some_sensors(6, batch_size=3), some_noise(6, three.spec.noise_shape)
    together = three.run_sensors(sensors, noise)
    for row in range(3):
        scene = SensorTensors(
            images=sensors.images[row : row + 1], points=sensors.points[row : row + 1], status=sensors.status[row : row + 1]
        )
        alone = one.run_sensors(scene, noise[row : row + 1])
        torch.testing.assert_close(together.poses[row], alone.poses[0], atol=1e-4, rtol=0.0)
        torch.testing.assert_close(together.logits[row], alone.logits[0], atol=1e-4, rtol=0.0)


def cannot(work: Work) -> Work:
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand a page of advice")


def does_nothing(work: Work) -> Work:
    return lambda: None


def test_a_recording_that_fails_means_eager_work_and_says_so() -> None:
    engine, good = engine_with(FakeRecorder(cannot)), engine_with(FakeRecorder())
    assert engine.degraded == "", "nothing was tried yet"
    engine.warm_up()
    assert "could not be recorded" in engine.degraded and "not permitted" in engine.degraded
    assert "advice" not in engine.degraded and engine.degraded.endswith(".")
    sensors, noise = some_sensors(7), some_noise(7, engine.spec.noise_shape)
    assert_equal(engine.run_sensors(sensors, noise), good.run_sensors(sensors, noise))
    heard: list[str] = []
    engine.run_sensors(sensors, noise, heard.append)
    assert heard == ["copy", "preprocess", "backbone", "decoder"]


def test_out_of_memory_while_recording_means_eager_work() -> None:
    def bend(work: Work) -> Work:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    engine = engine_with(FakeRecorder(bend))
    engine.warm_up()
    assert "out of memory" in engine.degraded
    assert engine.run_sensors(some_sensors(1), some_noise(1, engine.spec.noise_shape)).poses.isfinite().all()


def test_a_recording_that_computes_something_else_is_not_trusted() -> None:
    engines: list[CudaGraphEngine] = []

    def bend(work: Work) -> Work:
        def shifted() -> None:
            engines[0]._frame.noise += 0.5
            work()

        return shifted

    engines.append(engine_with(FakeRecorder(bend)))
    engine, good = engines[0], engine_with(FakeRecorder())
    engine.warm_up()
    assert "differs from eager work by" in engine.degraded and "not trusted" in engine.degraded
    sensors, noise = some_sensors(8), some_noise(8, engine.spec.noise_shape)
    assert_equal(engine.run_sensors(sensors, noise), good.run_sensors(sensors, noise))


def test_a_recording_that_ignores_its_inputs_is_not_trusted() -> None:
    engines: list[CudaGraphEngine] = []

    def bend(work: Work) -> Work:
        def frozen() -> None:
            engines[0]._frame.images.zero_()
            engines[0]._frame.inputs.camera.zero_()
            engines[0]._perceive()
            engines[0]._denoise()

        return frozen

    engines.append(engine_with(FakeRecorder(bend)))
    engines[0].warm_up()
    assert "differs from eager work by" in engines[0].degraded


def test_a_recording_that_does_nothing_is_not_trusted() -> None:
    engine = engine_with(FakeRecorder(does_nothing))
    engine.warm_up()
    assert "StaleAnswerError" in engine.degraded
    assert engine.run_sensors(some_sensors(1), some_noise(1, engine.spec.noise_shape)).poses.isfinite().all()


class Saboteur:
    """Bends recordings that behave until ``replays`` of them were trusted; then ``fault`` takes the work's place."""

    def __init__(self) -> None:
        self.fault: Work | None = None

    def __call__(self, work: Work) -> Work:
        return lambda: work() if self.fault is None else self.fault()


def warm_and_broken() -> tuple[CudaGraphEngine, Saboteur, SensorTensors, torch.Tensor]:
    saboteur = Saboteur()
    engine = engine_with(FakeRecorder(saboteur))
    engine.warm_up()
    sensors, noise = some_sensors(9), some_noise(9, engine.spec.noise_shape)
    engine.run_sensors(sensors, noise)
    return engine, saboteur, sensors, noise


def raising(error: Exception) -> Work:
    def fault() -> None:
        raise error

    return fault


def test_a_replay_that_does_nothing_is_noticed_and_ends_the_trust() -> None:
    engine, saboteur, sensors, noise = warm_and_broken()
    expected = engine.run_sensors(sensors, noise)
    saboteur.fault = lambda: None
    with pytest.raises(StaleAnswerError, match="did not do its work"):
        engine.run_sensors(sensors, noise)
    assert "no longer trusted" in engine.degraded
    assert_equal(engine.run_sensors(sensors, noise), expected)


def test_results_that_were_not_delivered_are_not_numbers() -> None:
    engine, saboteur, sensors, noise = warm_and_broken()

    def only_the_ticket() -> None:
        assert engine._answer is not None
        engine._answer.admit()
        engine._answer._returned.copy_(engine._answer._on_device)

    saboteur.fault = only_the_ticket
    answer = engine.run_sensors(sensors, noise)
    assert answer.poses.isnan().all() and answer.logits.isnan().all()


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: operation not permitted when stream is capturing"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
    ],
)
def test_an_error_that_leaves_the_device_is_raised_once_and_forgotten(error: Exception) -> None:
    engine, saboteur, sensors, noise = warm_and_broken()
    expected = engine.run_sensors(sensors, noise)
    saboteur.fault = raising(error)
    with pytest.raises(type(error), match=str(error)):
        engine.run_sensors(sensors, noise)
    saboteur.fault = None
    assert engine.degraded == ""
    assert_equal(engine.run_sensors(sensors, noise), expected)


def test_a_lost_device_stays_lost() -> None:
    engine, saboteur, sensors, noise = warm_and_broken()
    saboteur.fault = raising(RuntimeError("CUDA error: an illegal memory access was encountered\nmore"))
    with pytest.raises(DeviceLostError, match="illegal memory access"):
        engine.run_sensors(sensors, noise)
    saboteur.fault = None
    for _ in range(2):
        with pytest.raises(DeviceLostError, match=r"^The device was lost \(RuntimeError: CUDA error: an illegal"):
            engine.run_sensors(sensors, noise)
    with pytest.raises(DeviceLostError):
        engine.run(preprocessed(sensors), noise)
    assert engine.degraded.startswith("The device was lost")


def test_two_callers_at_once_are_noticed() -> None:
    engine, saboteur, sensors, noise = warm_and_broken()
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(10.0)
        raise RuntimeError("let go")

    saboteur.fault = hold
    errors: list[Exception] = []

    def first() -> None:
        try:
            engine.run_sensors(sensors, noise)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10.0)
    with pytest.raises(InputError, match="one thread at a time"):
        engine.run_sensors(sensors, noise)
    go_on.set()
    thread.join()
    assert [str(error) for error in errors] == ["let go"], "the second caller did not disturb the first"
    saboteur.fault = None
    engine.run_sensors(sensors, noise)


@pytest.mark.parametrize(
    ("sensors", "words"),
    [
        (some_sensors(1, num_points=MAX_POINTS + 1), f"max_points={MAX_POINTS + 1}"),
        (some_sensors(1, batch_size=2), "batch_size"),
        (replace(some_sensors(1), images=torch.zeros(1, 3, 540, 960, 3, dtype=torch.uint8)), "image_size"),
        (some_sensors(1).to("meta"), "host memory"),
    ],
)
def test_sensors_that_do_not_fit_are_the_callers_error(sensors: SensorTensors, words: str) -> None:
    engine = engine_with(FakeRecorder())
    with pytest.raises(InputError, match=words):
        engine.run_sensors(sensors, some_noise(1, engine.spec.noise_shape))


def test_noise_that_does_not_fit_is_the_callers_error() -> None:
    engine = engine_with(FakeRecorder())
    with pytest.raises(InputError, match="noise"):
        engine.run_sensors(some_sensors(1), torch.zeros(1, 20, 8, 2))


def test_without_cuda_the_eager_engine_runs_and_says_so() -> None:
    engine = make_engine("cuda_graph", tiny_model(), OPTIONS)
    assert isinstance(engine, EagerEngine) and "'cpu' was asked for" in engine.degraded
    inputs, noise = some_inputs(1, tiny_model().config), some_noise(1, engine.spec.noise_shape)
    assert_equal(engine.run(inputs, noise), PlainEngine(tiny_model()).run(inputs, noise), atol=1e-4)
    with pytest.raises(InputError, match="'eager'"):
        make_engine("cuda_graph", tiny_model(), replace(OPTIONS, device="meta"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_asked_for_cuda_where_there_is_none() -> None:
    engine = make_engine("cuda_graph", tiny_model(), replace(OPTIONS, device="cuda"))
    assert "there is no CUDA here" in engine.degraded and engine.degraded.endswith(".")
    assert engine.device.type == "cpu"
