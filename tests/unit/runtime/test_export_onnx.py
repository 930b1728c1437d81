"""An .onnx file answers as the model it was made from, and says so when it cannot."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from export_helpers import OPTIONS, largest_difference, model_of, request, tiny

from diffdrive.contracts import InputError
from diffdrive.diffusion import DDIM, REFERENCE, JumpTable
from diffdrive.model import nano
from diffdrive.runtime import EngineOptions, PlainEngine, Precision, make_engine
from diffdrive.runtime.export import OnnxEngine, export_onnx
from diffdrive.runtime.export import onnx as onnx_module

onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'diffdrive[export]')")
for needed in ("onnxscript", "onnxruntime"):
    pytest.importorskip(needed, reason=f"{needed} is not installed (pip install 'diffdrive[export]')")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "planner.onnx"
    export_onnx(model_of(tiny()), path, OPTIONS)
    return path


@pytest.fixture(scope="module")
def engine(file: Path) -> OnnxEngine:
    return OnnxEngine.open(file)


def test_it_answers_as_the_plain_engine(engine: OnnxEngine) -> None:
    plain = PlainEngine(model_of(tiny()), OPTIONS)
    for seed in range(3):
        inputs, noise = request(engine.spec, seed, batch=2)
        assert largest_difference(engine.run(inputs, noise), plain.run(inputs, noise)) < 1e-4


def test_it_answers_the_same_request_the_same_way_after_another_one(engine: OnnxEngine) -> None:
    first, second = (request(engine.spec, seed, batch=2) for seed in (1, 2))
    poses = engine.run(*first).poses.clone()
    assert not torch.equal(poses, engine.run(*second).poses)
    assert torch.equal(poses, engine.run(*first).poses)


def test_inputs_of_any_strides_are_read_right(engine: OnnxEngine) -> None:
    inputs, noise = request(engine.spec, seed=1, batch=2)
    poses = engine.run(inputs, noise).poses.clone()
    other = dataclasses.replace(inputs, camera=inputs.camera.contiguous(memory_format=torch.channels_last))
    assert torch.equal(engine.run(other, noise).poses, poses)


def test_the_file_is_one_file_that_describes_itself(file: Path, engine: OnnxEngine) -> None:
    assert [entry.name for entry in file.parent.iterdir()] == ["planner.onnx"]
    assert engine.exported.jumps == OPTIONS.jumps
    assert engine.spec.batch_size == 2
    model = onnx.load(str(file))
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.name for tensor in model.graph.input] == ["camera", "lidar", "status", "noise"]
    # Standard operators only, so that other runtimes can read it.
    assert {domain.domain for domain in model.opset_import} == {""}


def test_it_opens_where_only_onnxruntime_is_installed(file: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['onnx', 'onnxscript', 'onnx_ir', 'yaml', 'safetensors']))\n"
        "from diffdrive.runtime.export import OnnxEngine\n"
        f"engine = OnnxEngine.open({str(file)!r})\n"
        "engine.warm_up()\n"
        "print(engine.spec.batch_size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2", done.stderr


def test_it_uses_as_many_threads_as_torch_and_lets_them_rest(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    seen = []

    def session(path: str, settings: onnxruntime.SessionOptions, providers: list[object]) -> object:
        spins = settings.get_session_config_entry("session.intra_op.allow_spinning")
        seen.append((settings.intra_op_num_threads, spins))
        return onnxruntime.InferenceSession(path, settings, providers=providers)

    runtime = SimpleNamespace(SessionOptions=onnxruntime.SessionOptions, InferenceSession=session)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    exported = OnnxEngine.open(file).exported
    onnx_module.OnnxSession(runtime, file, exported, torch.device("cpu"))
    assert seen == [(3, "0")]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no protobuf")
    with pytest.raises(InputError, match="cannot be read as an"):
        OnnxEngine.open(tmp_path / "text.onnx")
    tensor = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [tensor], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    with pytest.raises(InputError, match="carries no description"):
        OnnxEngine.open(tmp_path / "foreign.onnx")


def test_what_it_cannot_do_is_said(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"bf16.*aot"):
        make_engine("onnxruntime", model_of(tiny()), EngineOptions(precision=Precision.BFLOAT16))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    with pytest.raises(InputError, match=r"onnxruntime cannot run on cuda:0 here: it offers .*CPUExecutionProvider"):
        OnnxEngine.open(file, device="cuda")
    monkeypatch.setattr(onnx_module, "LARGEST_BYTES", 1000)
    with pytest.raises(InputError, match="at most 2 GiB"):
        export_onnx(model_of(tiny()), tmp_path / "a.onnx", OPTIONS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"need {missing}\. .*pip install 'diffdrive\[export\]'"):
        export_onnx(model_of(tiny()), tmp_path / "a.onnx", OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("jumps", [REFERENCE, DDIM], ids=["reference", "ddim"])
def test_nano_answers_as_the_plain_engine(jumps: JumpTable) -> None:
    options = EngineOptions(jumps=jumps)
    engine, plain = OnnxEngine(model_of(nano()), options), PlainEngine(model_of(nano()), options)
    for seed in range(2):
        inputs, noise = request(engine.spec, seed)
        assert largest_difference(engine.run(inputs, noise), plain.run(inputs, noise)) < 1e-4


@pytest.mark.slow
def test_half_precision_is_as_exact_as_half_precision_is(tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, precision=Precision.FLOAT16)
    engine, plain = OnnxEngine(model_of(tiny()), options), PlainEngine(model_of(tiny()), OPTIONS)
    inputs, noise = request(engine.spec, 0, batch=2)
    difference = largest_difference(engine.run(inputs, noise), plain.run(inputs, noise))
    assert 1e-6 < difference < 0.05
