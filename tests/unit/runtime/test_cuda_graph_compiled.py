"""A compiled network is recorded only where it agrees with the uncompiled one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from graph_fakes import OPTIONS, FakeRecorder, some_noise, some_sensors, tiny_model

from diffdrive.runtime.cuda_graph import CompiledGraphEngine, CudaGraphEngine
from diffdrive.tensors import Proposals


def assert_as_uncompiled(engine: CompiledGraphEngine) -> None:
    sensors, noise = some_sensors(1), some_noise(1, engine.spec.noise_shape)
    given = engine.run_sensors(sensors, noise)
    expected: Proposals = CudaGraphEngine(tiny_model(), OPTIONS, FakeRecorder()).run_sensors(sensors, noise)
    assert torch.equal(given.poses, expected.poses)
    assert torch.equal(given.logits, expected.logits)


def compiled_engine(monkeypatch: pytest.MonkeyPatch, compiler: Callable) -> CompiledGraphEngine:
    monkeypatch.setattr(torch, "compile", compiler)
    engine = CompiledGraphEngine(tiny_model(), OPTIONS, FakeRecorder())
    engine.warm_up()
    return engine


def test_a_compiled_network_is_what_gets_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def compiler(function: Callable, **_: object) -> Callable:
        def compiled(*arguments: object) -> object:
            calls.append(function.__name__)
            return function(*arguments)

        return compiled

    engine = compiled_engine(monkeypatch, compiler)
    assert engine.degraded == ""
    calls.clear()
    assert_as_uncompiled(engine)
    assert calls == ["perceive", "denoise"]


def wrong(function: Callable, **_: object) -> Callable:
    def compiled(*arguments: object) -> object:
        result = function(*arguments)
        return result if function.__name__ == "perceive" else (result[0] + 1.0, result[1])

    return compiled


def absent(function: Callable, **_: object) -> Callable:
    raise RuntimeError("Cannot find a working triton installation")


@pytest.mark.parametrize(("compiler", "words"), [(wrong, "differs from eager work by 1"), (absent, "triton")])
def test_a_compiled_network_that_is_wrong_or_absent_is_not_used(
    monkeypatch: pytest.MonkeyPatch, compiler: Callable, words: str
) -> None:
    engine = compiled_engine(monkeypatch, compiler)
    assert "recorded uncompiled" in engine.degraded and words in engine.degraded
    assert_as_uncompiled(engine)
