"""The TensorRT engine against a stand-in for the package and for CUDA: what it calls, and what it says when it cannot."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from export_helpers import OPTIONS, model_of, tiny

from diffdrive.contracts import InputError
from diffdrive.runtime import EngineOptions, make_engine
from diffdrive.runtime.export.exported import KEY, Exported
from diffdrive.runtime.export.tensorrt import TensorRtEngine, TensorRtSession, built

EXPORTED = Exported.of(tiny(), OPTIONS, device_type="any", made_with="a test")


class FakeTensorRt:
    """The part of ``tensorrt`` that the engine uses. Its networks answer the sum of all that they are given."""

    __version__ = "10.9"

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        EXPLICIT_BATCH = 0
        STRONGLY_TYPED = 1

    BuilderFlag = SimpleNamespace(TF32="tf32", FP16="fp16")

    def __init__(self, *, parses: bool = True, builds: bool = True, runs: bool = True) -> None:
        self.parses, self.builds, self.runs = parses, builds, runs
        self.calls: list[tuple[Any, ...]] = []
        self.addresses: dict[str, int] = {}
        self.buffers: dict[int, torch.Tensor] = {}
        self.shapes = {tensor.name: tensor.shape for tensor in (*EXPORTED.inputs, *EXPORTED.outputs)}

    class Logger:
        WARNING = 2

        def __init__(self, level: int) -> None:
            self.level = level

    def Builder(self, logger: Any) -> Any:  # noqa: N802
        config = SimpleNamespace(clear_flag=lambda flag: self.calls.append(("clear_flag", flag)))
        return SimpleNamespace(
            create_network=lambda flags: self.calls.append(("create_network", flags)) or "network",
            create_builder_config=lambda: config,
            build_serialized_network=lambda network, given: b"plan" if self.builds and given is config else None,
        )

    def OnnxParser(self, network: Any, logger: Any) -> Any:  # noqa: N802
        return SimpleNamespace(
            parse=lambda data: self.calls.append(("parse", data)) or self.parses,
            num_errors=2,
            get_error=lambda index: f"reason {index}",
        )

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        context = SimpleNamespace(set_tensor_address=self._set_address, execute_async_v3=self._execute)
        engine = SimpleNamespace(create_execution_context=lambda: context, get_tensor_shape=self.shapes.__getitem__)
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: engine if plan == b"plan" else None)

    def _set_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def _execute(self, handle: int) -> bool:
        self.calls.append(("execute", handle))
        if self.runs:
            total = sum(self._at(tensor.name).sum() for tensor in EXPORTED.inputs)
            for output in EXPORTED.outputs:
                self._at(output.name).fill_(total)
        return self.runs

    def _at(self, name: str) -> torch.Tensor:
        return self.buffers[self.addresses[name]]


class FakeTurns:
    handle = 77

    def __init__(self) -> None:
        self.log: list[str] = []

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        self.log.append("begin")
        yield
        self.log.append("end")


def session_of(trt: FakeTensorRt, turns: FakeTurns) -> TensorRtSession:
    session = TensorRtSession(trt, b"plan", EXPORTED, torch.device("cpu"), turns)
    # The stand-in finds tensors by address, as TensorRT does.
    trt.buffers = {buffer.data_ptr(): buffer for buffer in (*session._inputs, *session._outputs)}
    return session


def test_the_network_is_strongly_typed_and_without_tf32(tmp_path: Path) -> None:
    trt = FakeTensorRt()
    (tmp_path / "a.onnx").write_bytes(b"bytes")
    assert built(trt, tmp_path / "a.onnx") == b"plan"
    assert trt.calls == [("create_network", 2), ("parse", b"bytes"), ("clear_flag", "tf32")]


def test_what_tensorrt_refuses_is_said_with_its_reasons(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"bytes")
    with pytest.raises(InputError, match=r"TensorRT 10\.9 does not take .*reason 0; reason 1"):
        built(FakeTensorRt(parses=False), tmp_path / "a.onnx")
    with pytest.raises(InputError, match="could not build"):
        built(FakeTensorRt(builds=False), tmp_path / "a.onnx")


def test_every_tensor_has_its_buffer_and_every_call_its_turn() -> None:
    trt, turns = FakeTensorRt(), FakeTurns()
    session = session_of(trt, turns)
    assert set(trt.addresses) == {tensor.name for tensor in (*EXPORTED.inputs, *EXPORTED.outputs)}
    for value in (1.0, 2.0):
        given = [torch.full(tensor.shape, value) for tensor in EXPORTED.inputs]
        outputs = session(given)
        total = sum(tensor.sum() for tensor in given)
        assert [tuple(output.shape) for output in outputs] == [output.shape for output in EXPORTED.outputs]
        assert all(bool((output == total).all()) for output in outputs)
    assert turns.log == ["begin", "end"] * 2
    assert [call for call in trt.calls if call[0] == "execute"] == [("execute", FakeTurns.handle)] * 2


def test_a_call_that_did_not_run_gives_no_old_answer() -> None:
    trt = FakeTensorRt()
    session = session_of(trt, FakeTurns())
    given = [torch.ones(tensor.shape) for tensor in EXPORTED.inputs]
    session(given)
    trt.runs = False
    with pytest.raises(RuntimeError, match="did not run"):
        session(given)


def test_an_engine_of_other_shapes_is_refused() -> None:
    trt = FakeTensorRt()
    trt.shapes["poses"] = (1, 1)
    with pytest.raises(RuntimeError, match=r"'poses' in another shape than \[2, 5, 4, 3\]"):
        session_of(trt, FakeTurns())


def test_without_cuda_or_the_package_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cpu", "cuda"):
        with pytest.raises(InputError, match=f"needs a CUDA device, got '{device}'"):
            make_engine("tensorrt", model_of(tiny()), EngineOptions(device=device))
        with pytest.raises(InputError, match=f"needs a CUDA device, got '{device}'"):
            TensorRtEngine.open(tmp_path / "a.onnx", device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ImportError, match=r"pip install tensorrt-cu12"):
        make_engine("tensorrt", model_of(tiny()), EngineOptions(device="cuda"))


def test_it_reads_the_description_of_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'diffdrive[export]')")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []))
    engine = TensorRtEngine.__new__(TensorRtEngine)
    onnx.save(model, str(tmp_path / "a.onnx"))
    with pytest.raises(InputError, match="carries no description"):
        engine._describe(tmp_path / "a.onnx")
    onnx.helper.set_model_props(model, {KEY: EXPORTED.to_json()})
    onnx.save(model, str(tmp_path / "a.onnx"))
    assert engine._describe(tmp_path / "a.onnx") == EXPORTED
    (tmp_path / "a.onnx").write_text("no protobuf")
    with pytest.raises(InputError, match="cannot be read as an"):
        engine._describe(tmp_path / "a.onnx")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="TensorRT needs a CUDA device")
def test_it_answers_as_the_plain_engine() -> None:
    pytest.importorskip("tensorrt", reason="tensorrt is not installed")
    from export_helpers import request

    from diffdrive.runtime import PlainEngine

    engine = TensorRtEngine(model_of(tiny()), EngineOptions(jumps=OPTIONS.jumps, device="cuda", batch_size=2))
    plain = PlainEngine(model_of(tiny()), EngineOptions(jumps=OPTIONS.jumps))
    for seed in range(3):
        inputs, noise = request(engine.spec, seed, batch=2)
        answer = engine.run(inputs.to("cuda"), noise.to("cuda"))
        assert float((answer.poses.cpu() - plain.run(inputs, noise).poses).abs().max()) < 1e-3
