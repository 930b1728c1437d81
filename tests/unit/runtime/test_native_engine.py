"""The native kernels compute the convolution, and where they cannot be had the engine says so and works on."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from graph_fakes import one_pass, some_inputs, some_noise, tiny_config, tiny_model
from torch import Tensor, nn
from torch.nn import functional as F

from diffdrive.model import PlannerModel, nano
from diffdrive.model.inference import ConvLayer, InferenceModel
from diffdrive.runtime import EngineOptions, PlainEngine, Precision, make_engine
from diffdrive.runtime.checks import empty_inputs
from diffdrive.runtime.native import NativeUnavailableError, WinogradConv, load_library, use_winograd
from diffdrive.runtime.native.library import CACHE_VARIABLE, cache_folder
from diffdrive.tensors import PlannerInputs

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ to compile the native kernels with")


@pytest.fixture(scope="module", autouse=True)
def kernels_of_this_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled here and now: a cache of an earlier run would hide a source that no longer compiles."""
    patch = pytest.MonkeyPatch()
    patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
    load_library.cache_clear()
    yield
    patch.undo()
    load_library.cache_clear()


def model() -> PlannerModel:
    config = nano()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PlannerModel(config, torch.rand(config.anchor_shape) * 10.0)


def request(batch: int = 1) -> tuple[PlannerInputs, Tensor]:
    return some_inputs(7, nano(), batch), some_noise(7, (batch, *nano().noise_shape))


def layer(inputs: int, outputs: int, *, relu: bool, **changes: int) -> ConvLayer:
    torch.manual_seed(inputs + outputs)
    conv = nn.Conv2d(inputs, outputs, **{"kernel_size": 3, "padding": 1, **changes})
    nn.init.normal_(conv.weight, std=1 / math.sqrt(9 * inputs))
    return ConvLayer(conv, relu=relu).requires_grad_(False)


@needs_compiler
@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7), (6, 24), (33, 2)])
@pytest.mark.parametrize("channels", [(8, 8), (24, 40), (64, 64)])
def test_winograd_is_the_convolution(channels: tuple[int, int], size: tuple[int, int]) -> None:
    inputs, outputs = channels
    for relu, adds, batch in ((True, True, 3), (False, False, 1)):
        direct = layer(inputs, outputs, relu=relu)
        x, added = torch.randn(batch, inputs, *size), torch.randn(batch, outputs, *size) if adds else None
        exact = F.conv2d(x.double(), direct.weight.double(), direct.bias.double(), padding=1)
        exact = exact if added is None else exact + added
        given = WinogradConv(direct, load_library())(x, added)
        torch.testing.assert_close(given.double(), exact.relu() if relu else exact, rtol=0, atol=1e-4)


@needs_compiler
def test_nan_goes_through_and_stays_local() -> None:
    direct = layer(8, 8, relu=True)
    x = torch.zeros(1, 8, 16, 16)
    x[0, 3, 1, 1] = float("nan")
    y = WinogradConv(direct, load_library())(x)
    assert y[0, :, 1, 1].isnan().all()
    assert not y[0, :, 8:].isnan().any()


@needs_compiler
def test_only_convolutions_that_fit_are_replaced() -> None:
    fitting, strided = layer(8, 16, relu=True), layer(8, 16, relu=True, stride=2)
    odd, wide = layer(6, 16, relu=True), layer(8, 16, relu=True, kernel_size=5, padding=2)
    network = nn.Sequential(fitting, strided, odd, wide, layer(8, 16, relu=True).to(torch.bfloat16))
    assert use_winograd(network) == 1
    assert isinstance(network[0], WinogradConv)
    assert all(isinstance(part, ConvLayer) for part in list(network)[1:])


@needs_compiler
@pytest.mark.parametrize("batch", [1, 2])
def test_the_native_engine_plans_as_the_plain_one(batch: int) -> None:
    inputs, noise = request(batch)
    expected = PlainEngine(model()).run(inputs, noise)
    native = make_engine("native", model())
    assert native.degraded == ""
    assert "Winograd" in native.description
    given = native.run(inputs, noise)
    assert (given.poses - expected.poses).abs().max() < 1e-4
    assert (given.logits - expected.logits).abs().max() < 1e-4


@needs_compiler
def test_compiled_kernels_are_kept_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    load_library()
    (kept,) = cache_folder().glob("*.so")
    assert [file.name for file in cache_folder().iterdir()] == [kept.name], "nothing is left aside"
    load_library.cache_clear()
    monkeypatch.setattr(subprocess, "run", _only_version(subprocess.run))
    load_library()


def _only_version(run):
    def guarded(command, **options):
        assert command[1:] == ["--version"], "compiled again"
        return run(command, **options)

    return guarded


def test_without_a_compiler_it_runs_as_eager_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load_library.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    native = make_engine("native", model())
    assert "without native kernels" in native.degraded and "no C++ compiler" in native.degraded
    inputs, noise = request()
    assert torch.equal(native.run(inputs, noise).poses, make_engine("eager", model()).run(inputs, noise).poses)


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken++"
    broken.write_text("#!/bin/sh\necho 'the disk is on fire' >&2\nexit 1\n")
    broken.chmod(0o755)
    load_library.cache_clear()
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with pytest.raises(NativeUnavailableError, match="the disk is on fire"):
        load_library()
    assert not list((tmp_path / "cache").rglob("*.so"))


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.FLOAT16])
def test_half_precision_that_would_be_emulated_runs_in_single(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    from diffdrive.runtime import precision as module

    monkeypatch.setattr(module.torch.backends.mkldnn, "is_available", lambda: False)
    engine = make_engine("eager", model(), EngineOptions(precision=precision))
    assert f"no instructions for {precision.value}" in engine.degraded
    inputs, noise = request()
    assert torch.equal(engine.run(inputs, noise).poses, make_engine("eager", model()).run(inputs, noise).poses)


def test_a_failing_compilation_is_noticed_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no Triton here\nand a long trace")

    monkeypatch.setattr(torch, "compile", refuse)
    engine = make_engine("compiled", model())
    engine.warm_up()
    assert "runs uncompiled: RuntimeError: no Triton here" in engine.degraded
    inputs, noise = request()
    expected = PlainEngine(model()).run(inputs, noise)
    assert (engine.run(inputs, noise).poses - expected.poses).abs().max() < 1e-4


def test_a_compiled_engine_takes_its_own_batch_size_only() -> None:
    engine = make_engine("compiled", model(), EngineOptions(batch_size=2))
    assert engine.spec.batch_size == 2
    inputs, noise = request(1)
    with pytest.raises(ValueError, match="built for batches of 2, got 1"):
        engine.run(inputs, noise)


@needs_compiler
@pytest.mark.slow
def test_the_compiled_engine_plans_as_the_plain_one() -> None:
    # The compiler's time grows with every layer of another kind or size.
    options = EngineOptions(jumps=one_pass())
    engine = make_engine("compiled", tiny_model(), options)
    engine.warm_up()
    assert engine.degraded == ""
    inputs, noise = some_inputs(7, tiny_config()), some_noise(7, engine.spec.noise_shape)
    expected = PlainEngine(tiny_model(), options).run(inputs, noise)
    for _ in range(2):
        given = engine.run(inputs, noise)
        assert (given.poses - expected.poses).abs().max() < 1e-4
        assert (given.logits - expected.logits).abs().max() < 1e-4
    nothing = engine.run(*empty_inputs(engine.spec, engine.device))
    assert not torch.equal(nothing.poses, given.poses)


def test_importing_the_runtime_compiles_and_loads_nothing() -> None:
    program = (
        "import sys, diffdrive.runtime\n"
        "from diffdrive.runtime.native import load_library\n"
        "sys.exit(load_library.cache_info().currsize or int('torch._inductor.compile_fx' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_network_under_the_kernels_is_a_copy() -> None:
    network = model()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    use_winograd(InferenceModel(network)) if shutil.which("g++") else None
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
