"""The CUDA-graph engine on a real GPU: what the tests without one cannot know."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from graph_fakes import OPTIONS, FakeRecorder, some_inputs, some_noise, some_sensors, tiny_config, tiny_model

from diffdrive.model.inference import InferenceModel
from diffdrive.runtime import EngineOptions, PlainEngine, Precision, make_engine
from diffdrive.runtime.cuda_graph import BOUNDS, CudaGraphEngine
from diffdrive.runtime.graph import CudaRecorder
from diffdrive.tensors import Proposals

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, which this machine lacks")

ON_GPU = replace(OPTIONS, device="cuda")


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN rounds float32 to TF32 otherwise, and bounds on differences would have to hide that."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def warm_engine(options: EngineOptions = ON_GPU, seed: int = 0) -> CudaGraphEngine:
    engine = make_engine("cuda_graph", tiny_model(seed), options)
    assert isinstance(engine, CudaGraphEngine)
    engine.warm_up()
    assert engine.degraded == ""
    return engine


def assert_close(one: Proposals, other: Proposals, atol: float) -> None:
    torch.testing.assert_close(one.poses.cpu(), other.poses.cpu(), atol=atol, rtol=0.0)
    torch.testing.assert_close(one.logits.cpu(), other.logits.cpu(), atol=atol, rtol=0.0)


@pytest.mark.parametrize("precision", list(Precision))
def test_replays_equal_eager_work_for_different_inputs(precision: Precision) -> None:
    engine = warm_engine(replace(ON_GPU, precision=precision))
    network = InferenceModel(tiny_model(), dtype=precision.dtype).cuda()
    seen = []
    for seed in range(5):
        inputs, noise = some_inputs(seed, tiny_config()).to("cuda"), some_noise(seed, engine.spec.noise_shape).cuda()
        with torch.inference_mode():
            expected = network.proposals(network(inputs.camera, inputs.lidar, inputs.status, noise))
        answer = engine.run(inputs, noise)
        assert_close(answer, expected, atol=BOUNDS[precision])
        seen.append(answer.poses)
    assert not torch.equal(seen[0], seen[1])


def test_from_sensors_it_equals_the_engine_without_a_gpu() -> None:
    engine, host = warm_engine(), CudaGraphEngine(tiny_model(), OPTIONS, FakeRecorder())
    for seed in range(5):
        sensors, noise = some_sensors(seed), some_noise(seed, engine.spec.noise_shape)
        assert_close(engine.run_sensors(sensors, noise.cuda()), host.run_sensors(sensors, noise), atol=1e-3)


def test_the_staging_memory_is_pinned_and_a_frame_in_it_is_not_copied_again() -> None:
    engine = warm_engine()
    sensors, noise = some_sensors(3), some_noise(3, engine.spec.noise_shape).cuda()
    expected = engine.run_sensors(sensors, noise)
    staging = engine.staging
    assert staging.images.is_pinned() and staging.points.is_pinned() and staging.status.is_pinned()
    staging.images.copy_(sensors.images)
    staging.points[:, : sensors.points.shape[1]] = sensors.points
    staging.status.copy_(sensors.status)
    assert_close(engine.run_sensors(staging, noise), expected, atol=0.0)


def test_no_device_memory_is_allocated_after_warm_up() -> None:
    engine = warm_engine()
    frames = [some_sensors(seed) for seed in range(4)]
    noise = some_noise(0, engine.spec.noise_shape).cuda()
    engine.run_sensors(frames[0], noise)
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    for number in range(100):
        engine.run_sensors(frames[number % len(frames)], noise)
    assert torch.cuda.memory_stats()["allocation.all.allocated"] == before


def test_engines_side_by_side_answer_as_if_alone() -> None:
    noise = some_noise(0, (1, *tiny_config().noise_shape)).cuda()
    alone = [[warm_engine(seed=model).run_sensors(some_sensors(seed), noise) for seed in range(3)] for model in range(2)]
    together = [warm_engine(seed=model) for model in range(2)]
    for seed in range(3):
        for model, engine in enumerate(together):
            assert_close(engine.run_sensors(some_sensors(seed), noise), alone[model][seed], atol=1e-3)


def test_stage_graphs_give_what_the_whole_graph_gives() -> None:
    engine = warm_engine()
    sensors, noise, heard = some_sensors(2), some_noise(2, engine.spec.noise_shape).cuda(), []
    whole = engine.run_sensors(sensors, noise)
    for _ in range(2):
        assert_close(engine.run_sensors(sensors, noise, heard.append), whole, atol=1e-3)
        assert_close(engine.run_sensors(sensors, noise), whole, atol=0.0)
    assert heard == ["copy", "preprocess", "backbone", "decoder"] * 2


def test_inputs_made_on_the_callers_stream_just_before_are_seen() -> None:
    engine = warm_engine()
    base, noise = some_inputs(1, tiny_config()).to("cuda"), some_noise(1, engine.spec.noise_shape).cuda()
    other = some_inputs(2, tiny_config()).to("cuda")
    expected = engine.run(other, noise)
    torch.cuda.synchronize()
    torch.cuda._sleep(10_000_000)
    for name in ("camera", "lidar", "status"):
        getattr(base, name).copy_(getattr(other, name))
    assert_close(engine.run(base, noise), expected, atol=0.0)


class ReadingBack(CudaGraphEngine):
    """Waits for a number in the middle of its work, which a graph cannot."""

    def _perceive(self) -> None:
        super()._perceive()
        float(self._frame.noise.sum())


def test_work_that_cannot_be_captured_falls_back() -> None:
    engine = ReadingBack(tiny_model(), ON_GPU, CudaRecorder(torch.device("cuda", 0)))
    engine.warm_up()
    assert "could not be recorded" in engine.degraded
    plain = PlainEngine(tiny_model(), ON_GPU)
    inputs, noise = some_inputs(1, tiny_config()).to("cuda"), some_noise(1, engine.spec.noise_shape).cuda()
    assert_close(engine.run(inputs, noise), plain.run(inputs, noise), atol=1e-3)
    assert engine.run_sensors(some_sensors(1), noise).poses.isfinite().all()
    warm_engine()


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="counted from cuda:0"):
        make_engine("cuda_graph", tiny_model(), replace(OPTIONS, device="cuda:99"))
