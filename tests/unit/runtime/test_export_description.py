"""What an exported file says about itself, what is refused of it, and how files come to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from export_helpers import OPTIONS, model_of, request, tiny

from diffdrive.contracts import InputError
from diffdrive.runtime import Engine, EngineOptions, EngineSpec, Precision
from diffdrive.runtime.export.exported import FORMAT, KEY, Exported, from_metadata
from diffdrive.runtime.export.file_engine import FileEngine
from diffdrive.runtime.export.network import check_same, network_of, random_inputs, written_aside

HERE = Path("planner.onnx")


def described(options: EngineOptions = OPTIONS, device_type: str = "any") -> Exported:
    return Exported.of(tiny(), options, device_type=device_type, made_with="a test")


class DoublingEngine(FileEngine):
    """Its file holds the description alone; mode m's logit is twice its first noise number."""

    name = "doubling"
    answers_contiguous = True

    def _describe(self, path: Path) -> Exported:
        return from_metadata({KEY: path.read_text()}, path)

    def _start(self, path: Path) -> Any:
        def run(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
            self.answers_contiguous = all(tensor.is_contiguous() for tensor in inputs)
            outputs = [torch.zeros(output.shape) for output in self.exported.outputs]
            outputs[1] = 2.0 * inputs[3][:, :, 0, 0]
            return outputs

        return run


def test_the_description_survives_the_file() -> None:
    exported = described()
    assert from_metadata({KEY: exported.to_json(), "other": "?"}, HERE) == exported
    assert exported.engine == EngineSpec.of(tiny(), batch_size=2)
    assert [tensor.name for tensor in exported.inputs] == ["camera", "lidar", "status", "noise"]
    assert exported.inputs[0].shape == (2, 3, 32, 128)
    assert exported.output_names == ("poses", "logits", "agent_states", "agent_logits", "bev_logits")


def test_its_shapes_are_the_networks() -> None:
    exported = described()
    network, inputs = network_of(model_of(tiny()), OPTIONS, "cpu"), random_inputs(exported, "cpu")
    assert [tuple(tensor.shape) for tensor in inputs] == [tensor.shape for tensor in exported.inputs]
    assert network.output_names == exported.output_names
    assert [tuple(tensor.shape) for tensor in network(*inputs)] == [tensor.shape for tensor in exported.outputs]
    assert (described(EngineOptions()).output_names) == ("poses", "logits")


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(described().to_json()), **fields})


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, "carries no description"),
        ({KEY: "{"}, "not JSON"),
        ({KEY: "[]"}, "has format None"),
        ({KEY: changed(format=FORMAT + 1)}, f"has format {FORMAT + 1}, and this diffdrive reads format {FORMAT}"),
        ({KEY: changed(precision="fp64")}, "fp32, bf16, fp16"),
        ({KEY: changed(colour="red")}, "no key 'colour'"),
        ({KEY: changed(device_type="tpu")}, "must be one of any, cpu, cuda"),
        ({KEY: changed(outputs=[])}, "poses"),
        ({KEY: changed(inputs=[])}, "other inputs than its layout"),
        ({KEY: json.dumps({"format": FORMAT})}, "cannot be used"),
    ],
)
def test_other_descriptions_are_refused(metadata: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=r"planner\.onnx") as caught:
        from_metadata(metadata, HERE)
    assert words in str(caught.value)


def test_a_description_without_a_batch_size_is_refused() -> None:
    with pytest.raises(InputError, match="fixed batch size"):
        Exported(
            engine=EngineSpec(),
            jumps=OPTIONS.jumps,
            precision=Precision.FLOAT32,
            device_type="any",
            outputs=described().outputs,
            made_with="a test",
        )


def test_an_engine_of_a_file_follows_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(described().to_json())
    engine = DoublingEngine.open(tmp_path / "x")
    assert isinstance(engine, Engine)
    assert engine.device == torch.device("cpu")
    assert engine.description == "doubling: 1 pass, fp32, cpu, from a test"
    engine.warm_up()
    inputs, noise = request(engine.spec, seed=0, batch=2)
    heard: list[str] = []
    proposals = engine.run(inputs, noise.transpose(1, 2).contiguous().transpose(1, 2), heard.append)
    assert heard == ["network"]
    assert engine.answers_contiguous
    assert torch.equal(proposals.logits, 2.0 * noise[:, :, 0, 0])
    assert proposals.agents is not None
    assert proposals.bev_logits is not None


def test_what_compiled_code_cannot_check_is_checked_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(described().to_json())
    engine = DoublingEngine.open(tmp_path / "x")
    inputs, noise = request(engine.spec, seed=0, batch=1)
    with pytest.raises(InputError, match="batches of 2, got 1"):
        engine.run(inputs, noise)
    inputs, noise = request(engine.spec, seed=0, batch=2)
    with pytest.raises(InputError, match=r"torch\.float64"):
        engine.run(inputs, noise.double())
    with pytest.raises(InputError, match="runs on cpu, got tensors on meta"):
        engine.run(inputs, noise.to("meta"))


def test_a_file_is_opened_where_it_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="There is no file"):
        DoublingEngine.open(tmp_path / "x")
    (tmp_path / "x").write_text(described(device_type="cpu").to_json())
    assert DoublingEngine.open(tmp_path / "x").device.type == "cpu"
    with pytest.raises(InputError, match="exported for cpu and cannot run on cuda"):
        DoublingEngine.open(tmp_path / "x", device="cuda")
    (tmp_path / "x").write_text(described(device_type="cuda").to_json())
    with pytest.raises(InputError, match="torch sees no CUDA device"):
        DoublingEngine.open(tmp_path / "x")


def test_another_answer_than_the_networks_is_not_written(tmp_path: Path) -> None:
    exported = described()
    right = [torch.zeros(output.shape) for output in exported.outputs]
    check_same(exported, right, [tensor + 1e-4 for tensor in right])
    for wrong in (right[1] + 0.01, right[1] * torch.nan, right[1][:1]):
        with pytest.raises(RuntimeError, match="logits"):
            check_same(exported, right, [right[0], wrong, *right[2:]])
    with pytest.raises(RuntimeError, match="Nothing was written"), written_aside(tmp_path / "a.onnx", ".onnx") as aside:
        aside.write_text("half")
        check_same(exported, right, [right[0] + 1.0, *right[1:]])
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("old")
    with written_aside(tmp_path / "a.onnx", ".onnx") as aside:
        aside.write_text("new")
        assert (tmp_path / "a.onnx").read_text() == "old"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.onnx", "new")]


def test_jumps_beyond_the_schedule_are_refused() -> None:
    from diffdrive.diffusion import CLEAN, JumpTable

    jumps = JumpTable(start_level=1000, jumps=((0, CLEAN),), clips_prediction=False)
    with pytest.raises(InputError, match="level 1000"):
        network_of(model_of(tiny()), EngineOptions(jumps=jumps), "cpu")
